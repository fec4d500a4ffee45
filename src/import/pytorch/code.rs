//! The code of a model by the dotted names it is called by.

use super::script::{Function, Source, parse};
use std::collections::HashMap;
use std::rc::Rc;

/// Parsed code of a TorchScript archive, file by file as it is asked for.
#[derive(Default)]
pub(super) struct Code {
    /// `__torch__/torch/nn/modules/conv.py` to its text.
    texts: HashMap<String, String>,
    parsed: HashMap<String, Result<Rc<Source>, String>>,
}

impl Code {
    pub fn new(texts: &[(String, String)]) -> Self {
        let texts = texts.iter().filter_map(|(path, text)| {
            let inside = path.strip_prefix("code/")?;
            Some((inside.to_owned(), text.clone()))
        });
        Code { texts: texts.collect(), parsed: HashMap::new() }
    }

    /// The file of a module `__torch__.torch.nn.modules.conv`; `None` where there is none.
    fn source(&mut self, module: &str) -> Option<Result<Rc<Source>, String>> {
        let path = format!("{}.py", module.replace('.', "/"));
        if let Some(parsed) = self.parsed.get(&path) {
            return Some(parsed.clone());
        }
        let text = self.texts.get(&path)?;
        let parsed = parse(text).map(Rc::new).map_err(|(line, what)| format!("code/{path}, line {line}: {what}"));
        self.parsed.insert(path, parsed.clone());
        Some(parsed)
    }

    /// A method of a class; `None` where class or method is not in the code.
    pub fn method(&mut self, class: &str, name: &str) -> Option<Result<Rc<Function>, String>> {
        let (module, class) = class.rsplit_once('.')?;
        let source = match self.source(module)? {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        let methods = source.classes.iter().find(|(known, _)| known.as_ref() == class).map(|(_, methods)| methods)?;
        methods.iter().find(|method| method.name.as_ref() == name).cloned().map(Ok)
    }

    /// Whether a class is in the code that has fields alone: a named tuple.
    pub fn is_named_tuple(&mut self, class: &str) -> bool {
        let Some((module, class)) = class.rsplit_once('.') else { return false };
        let Some(Ok(source)) = self.source(module) else { return false };
        source.classes.iter().any(|(known, methods)| known.as_ref() == class && methods.is_empty())
    }

    /// A function of a module; `None` where it is not in the code.
    pub fn function(&mut self, name: &str) -> Option<Result<Rc<Function>, String>> {
        let (module, name) = name.rsplit_once('.')?;
        let source = match self.source(module)? {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        source.functions.iter().find(|function| function.name.as_ref() == name).cloned().map(Ok)
    }
}
