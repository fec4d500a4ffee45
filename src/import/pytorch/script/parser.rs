//! Words to statements.

mod expression;

use super::ast::{Expr, Function, Source, Statement};
use super::lexer::{Placed, Token, tokens};
use std::rc::Rc;

/// Blocks and brackets inside of each other.
const MAX_DEPTH: usize = 60;
/// Levels of one expression, the links of its chains (`x.T.T`, `a + b + c`) counted with its brackets: whoever walks or
/// drops the tree takes a frame for each.
const MAX_HEIGHT: usize = 150;

/// Parses a file of TorchScript's or fx's code; the error is the line and what is wrong there.
pub(in crate::import::pytorch) fn parse(source: &str) -> Result<Source, (usize, String)> {
    let mut parser = Parser { tokens: tokens(source)?, at: 0, depth: 0, height: 0 };
    let mut found = Source::default();
    loop {
        match parser.peek() {
            Token::End => return Ok(found),
            Token::Newline | Token::Indent | Token::Dedent => parser.advance(),
            Token::Name(word) if word.as_ref() == "def" => found.functions.push(Rc::new(parser.function()?)),
            Token::Name(word) if word.as_ref() == "class" => found.classes.push(parser.class()?),
            // Imports, decorators, constants: nothing of them is needed.
            _ => parser.skip_line(),
        }
    }
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    /// Levels of the highest tree that was read since the innermost bracket or chain began.
    height: usize,
}

type Parsed<T> = Result<T, (usize, String)>;

/// What became of a chain.
enum Link {
    Added(Expr),
    End(Expr),
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |(_, line)| *line)
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn skip_line(&mut self) {
        while !matches!(self.peek(), Token::Newline | Token::End) {
            self.advance();
        }
    }

    fn wrong<T>(&self, expected: &str) -> Parsed<T> {
        let found = match self.peek() {
            Token::Name(name) => format!("'{name}'"),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::Newline => "the end of the line".to_owned(),
            Token::End => "the end of the code".to_owned(),
            other => format!("{other:?}"),
        };
        Err((self.line(), format!("{found} where {expected} is expected")))
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found.as_ref() == word)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> Parsed<()> {
        if self.take_sign(sign) { Ok(()) } else { self.wrong(&format!("'{sign}'")) }
    }

    fn name(&mut self) -> Parsed<Rc<str>> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.advance();
                Ok(name)
            }
            _ => self.wrong("a name"),
        }
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.height);
        let parsed = parse(self);
        self.height = outer.max(self.height + 1);
        self.depth -= 1;
        parsed
    }

    /// A chain whose links each put another level on top of what stands left of them: `next` adds one and gives the
    /// tree back where there is none.
    fn chain(
        &mut self,
        first: impl FnOnce(&mut Self) -> Parsed<Expr>,
        mut next: impl FnMut(&mut Self, Expr) -> Parsed<Link>,
    ) -> Parsed<Expr> {
        let outer = std::mem::take(&mut self.height);
        let mut left = first(self)?;
        loop {
            match next(self, left)? {
                Link::Added(longer) => left = longer,
                Link::End(whole) => {
                    self.height = outer.max(self.height);
                    return Ok(whole);
                }
            }
            self.height += 1;
            if self.height > MAX_HEIGHT {
                return self.too_deep();
            }
        }
    }

    fn too_deep<T>(&self) -> Parsed<T> {
        Err((self.line(), "code nested too deeply".to_owned()))
    }

    fn class(&mut self) -> Parsed<(Rc<str>, Vec<Rc<Function>>)> {
        self.advance();
        let name = self.name()?;
        while !matches!(self.peek(), Token::Newline | Token::End) {
            self.advance();
        }
        let mut methods = Vec::new();
        self.advance();
        if *self.peek() != Token::Indent {
            return Ok((name, methods));
        }
        self.advance();
        loop {
            match self.peek() {
                Token::Dedent => {
                    self.advance();
                    return Ok((name, methods));
                }
                Token::End => return Ok((name, methods)),
                Token::Newline => self.advance(),
                Token::Name(word) if word.as_ref() == "def" => methods.push(Rc::new(self.function()?)),
                _ => self.skip_line(),
            }
        }
    }

    fn function(&mut self) -> Parsed<Function> {
        self.advance();
        let name = self.name()?;
        self.sign("(")?;
        let mut parameters = Vec::new();
        while !self.take_sign(")") {
            if self.take_sign("*") || self.take_sign("**") {
                if !self.is_sign(",") {
                    self.name()?;
                }
            } else {
                let parameter = self.name()?;
                if self.take_sign(":") {
                    self.expression()?;
                }
                let default = if self.take_sign("=") { Some(self.expression()?) } else { None };
                parameters.push((parameter, default));
            }
            if !self.take_sign(",") {
                self.sign(")")?;
                break;
            }
        }
        if self.take_sign("->") {
            self.expression()?;
        }
        let body = self.block()?;
        Ok(Function { name, parameters, body })
    }

    /// `: statements` on the line, or an indented block.
    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.sign(":")?;
        self.deeper(|parser| {
            let mut body = Vec::new();
            if *parser.peek() != Token::Newline {
                parser.statement_line(&mut body)?;
                return Ok(body);
            }
            parser.advance();
            if *parser.peek() != Token::Indent {
                return parser.wrong("an indented block");
            }
            parser.advance();
            loop {
                match parser.peek() {
                    Token::Dedent => {
                        parser.advance();
                        return Ok(body);
                    }
                    Token::End => return Ok(body),
                    Token::Newline => parser.advance(),
                    _ => parser.statement_line(&mut body)?,
                }
            }
        })
    }

    fn statement_line(&mut self, body: &mut Vec<Statement>) -> Parsed<()> {
        if self.take_word("if") {
            let statement = self.if_rest()?;
            body.push(statement);
            return Ok(());
        }
        if self.take_word("while") {
            let condition = self.expression()?;
            body.push(Statement::While(condition, self.block()?));
            return Ok(());
        }
        if self.take_word("for") {
            let target = self.target_list()?;
            if !self.take_word("in") {
                return self.wrong("'in'");
            }
            let items = self.expression_list()?;
            body.push(Statement::For(target, items, self.block()?));
            return Ok(());
        }
        if self.is_word("def") || self.is_word("class") || self.is_word("with") || self.is_word("try") {
            return self.wrong("a plain statement");
        }
        loop {
            self.small_statement(body)?;
            if !self.take_sign(";") {
                break;
            }
            if matches!(self.peek(), Token::Newline | Token::End) {
                break;
            }
        }
        match self.peek() {
            Token::Newline => {
                self.advance();
                Ok(())
            }
            Token::End | Token::Dedent => Ok(()),
            _ => self.wrong("the end of the statement"),
        }
    }

    fn if_rest(&mut self) -> Parsed<Statement> {
        let condition = self.expression()?;
        let then = self.block()?;
        if self.take_word("elif") {
            let otherwise = self.deeper(Self::if_rest)?;
            return Ok(Statement::If(condition, then, vec![otherwise]));
        }
        let otherwise = if self.take_word("else") { self.block()? } else { Vec::new() };
        Ok(Statement::If(condition, then, otherwise))
    }

    fn small_statement(&mut self, body: &mut Vec<Statement>) -> Parsed<()> {
        if self.take_word("return") {
            let ends = matches!(self.peek(), Token::Newline | Token::End | Token::Dedent) || self.is_sign(";");
            let value = if ends { Expr::None } else { self.expression_list()? };
            body.push(Statement::Return(value));
        } else if self.take_word("assert") {
            let condition = self.expression()?;
            if self.take_sign(",") {
                self.expression()?;
            }
            body.push(Statement::Assert(condition));
        } else if self.is_word("raise") {
            self.skip_line();
            body.push(Statement::Raise);
        } else if self.take_word("pass") {
        } else if self.take_word("break") {
            body.push(Statement::Break);
        } else if self.take_word("continue") {
            body.push(Statement::Continue);
        } else if self.is_word("import") || self.is_word("from") || self.is_word("del") || self.is_word("global") {
            self.skip_line();
        } else {
            self.assignment(body)?;
        }
        Ok(())
    }

    fn assignment(&mut self, body: &mut Vec<Statement>) -> Parsed<()> {
        let first = self.expression_list()?;
        if self.take_sign(":") {
            self.expression()?;
            if !self.is_sign("=") {
                return Ok(());
            }
        }
        const UPDATES: [(&str, &str); 4] = [("+=", "add"), ("-=", "sub"), ("*=", "mul"), ("/=", "truediv")];
        if let Some((_, name)) = UPDATES.iter().find(|(sign, _)| self.is_sign(sign)) {
            self.advance();
            let value = self.expression_list()?;
            body.push(Statement::Assign(vec![first.clone()], Expr::Operator(name, vec![first, value])));
            return Ok(());
        }
        if !self.is_sign("=") {
            body.push(Statement::Expression(first));
            return Ok(());
        }
        let mut parts = vec![first];
        while self.take_sign("=") {
            parts.push(self.expression_list()?);
        }
        let value = parts.pop().unwrap_or(Expr::None);
        body.push(Statement::Assign(parts, value));
        Ok(())
    }

    fn target_list(&mut self) -> Parsed<Expr> {
        let first = self.postfix()?;
        if !self.is_sign(",") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.take_sign(",") {
            if self.is_word("in") {
                break;
            }
            items.push(self.postfix()?);
        }
        Ok(Expr::Tuple(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = r#"
class Net(Module):
  __parameters__ = ["weight", ]
  __annotations__ = []
  __annotations__["a/b"] = Tensor
  weight : Tensor
  def forward(self: __torch__.Net,
    x: Tensor) -> Tensor:
    _0, b, = (self).pair(x, )
    if torch.eq(b, 1):
      y = torch.conv2d(x, self.weight, None, [1, 1], [-1, 0])
    else:
      if __is__(b, None):
        ops.prim.RaiseException("no")
      else:
        pass
      y = x
    z = (y)[0:2, 1] if b else y
    return torch.add(z, x, alpha=1.5)
def free(x: List[int], k: Optional[int]=None) -> int:
  return 1 + 2 * -3
"#;

    #[test]
    fn torchscript_parses() {
        let source = parse(CODE).unwrap();
        assert_eq!((source.classes.len(), source.functions.len()), (1, 1));
        let (name, methods) = &source.classes[0];
        assert_eq!((name.as_ref(), methods.len(), methods[0].parameters.len()), ("Net", 1, 2));
        assert_eq!(methods[0].body.len(), 4);
        assert!(
            matches!(&methods[0].body[0], Statement::Assign(targets, _) if matches!(&targets[0], Expr::Tuple(t) if t.len() == 2))
        );
        let Statement::If(_, _, otherwise) = &methods[0].body[1] else { panic!() };
        assert!(matches!(&otherwise[0], Statement::If(_, then, last) if then.len() == 1 && last.is_empty()));
        let sum = Expr::Operator("add", vec![Expr::Int(1), Expr::Operator("mul", vec![Expr::Int(2), Expr::Int(-3)])]);
        assert_eq!(source.functions[0].body, [Statement::Return(sum)]);
    }

    #[test]
    fn fx_code_parses() {
        let code = "\n\n\ndef forward(self, x : torch.Tensor):\n    a = self.conv(x);  x = None\n    b = getattr(self, \"l/0\")(a, *a.shape);  a = None\n    return (b,)\n    ";
        let source = parse(code).unwrap();
        assert_eq!(source.functions[0].body.len(), 5);
    }

    #[test]
    fn bad_code_is_an_error_with_its_line() {
        assert_eq!(parse("def f(x):\n  y = (x\n").unwrap_err().0, 3);
        assert!(parse("def f(:\n  pass").is_err());
        assert!(parse("def f():\n  with x:\n    pass").is_err());
        let deep = format!("def f():\n  return {}", "(".repeat(100_000));
        assert!(parse(&deep).unwrap_err().1.contains("deep"));
        let signs = format!("def f():\n  return {}1", "-".repeat(100_000));
        assert!(parse(&signs).is_err());
    }

    #[test]
    fn long_chains_are_refused_and_wide_lists_are_not() {
        for link in [".T", " + x", " * x", " or x", " and x", "[0]", "(x)"] {
            let chain = |count: usize| parse(&format!("def f(x):\n  return x{}", link.repeat(count)));
            assert!(chain(MAX_HEIGHT / 2).is_ok(), "{link}");
            assert!(chain(100_000).unwrap_err().1.contains("deep"), "{link}");
        }
        // Each bracket holds a chain of its own: together they are one high tree.
        let link = format!("({}x{}", "(".repeat(20), format!("{})", ".T".repeat(60)).repeat(20));
        assert!(parse(&format!("def f(x):\n  return {link})")).unwrap_err().1.contains("deep"));
        let wide = "x.a.b + x.c, ".repeat(10_000);
        assert!(parse(&format!("def f(x):\n  return [{wide}]")).is_ok());
    }
}
