//! The arrows that must never be drawn, read off the source text; also the size of files, and `.round()`.
//!
//! Paths are read from `use` trees and from inline code, with `super` and `self` resolved, comments and literals removed.
//! Code made by macros of other crates is not seen.
#![cfg(not(target_arch = "wasm32"))]
// The lints allow these in tests only, not in the helpers beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};

/// Everything that works the same natively and in a browser, and knows of neither.
const CORE: &[&str] = &["onnx", "tensor", "quant", "analysis", "import", "export", "problem"];
/// Code that touches the browser.
const BROWSER: &[&str] = &["web_sys", "js_sys", "wasm_bindgen", "plotters_canvas"];

/// Who must never name what, and why. An area is the first folder of a file, `chart/paint` (the one part of `chart` that
/// draws on a canvas), `*` for all, or `!area` for all but that one. A target is a path from the crate root (`crate::engine`) or a crate; crates match
/// by prefix where they end in `*`.
const NEVER: &[(&[&str], &[&str], &str)] = &[
    (CORE, &["leptos*", "reactive_*"], "core knows no page"),
    (CORE, BROWSER, "core knows no browser"),
    (
        CORE,
        &["crate::engine", "crate::ui", "crate::worker", "crate::platform", "crate::chart"],
        "core is at the bottom",
    ),
    (&["*", "!engine"], &["tract*"], "only the engine names tract"),
    (
        &["engine"],
        &["leptos*", "crate::ui", "crate::worker", "crate::chart", "crate::import", "crate::export"],
        "engine -> core",
    ),
    (
        &["ui", "chart", "chart/paint"],
        &["crate::engine", "crate::import", "crate::worker::service"],
        "the page asks the worker",
    ),
    (&["chart", "chart/paint"], &["leptos*", "reactive_*", "crate::ui", "crate::worker"], "a chart is plain numbers"),
    (&["*", "!platform", "!chart/paint"], BROWSER, "browser code is in platform"),
];

/// Longest file in lines; a generated one may be longer.
const MOST_LINES: usize = 700;
const GENERATED: &[&str] = &["onnx/proto.rs"];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    PathSeparator,
    Sign(char),
}

/// Splits source text into words and signs, without comments and literals.
fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut found, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        if at(i) == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if at(i) == '/' && at(i + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(i), at(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 || i >= chars.len() {
                    break;
                }
            }
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && (at(i + 1) == '\\' || at(i + 2) == '\'') {
            // A character, not a lifetime.
            i += if at(i + 1) == '\\' { 3 } else { 2 };
            while i < chars.len() && at(i) != '\'' {
                i += 1;
            }
            i += 1;
        } else if is_word(at(i)) {
            let start = i;
            while is_word(at(i)) {
                i += 1;
            }
            let word: String = chars[start..i].iter().collect();
            let hashes = (i..).take_while(|&j| at(j) == '#').count();
            if matches!(word.as_str(), "r" | "br" | "cr") && at(i + hashes) == '"' {
                let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
                let rest: String = chars[i + hashes + 1..].iter().collect();
                let skipped = rest.find(&end).map_or(rest.chars().count(), |byte| rest[..byte].chars().count());
                i += hashes + 1 + skipped + end.len();
            } else if word == "r" && hashes == 1 {
                i += 1;
            } else {
                found.push(Token::Word(word));
            }
        } else if at(i) == ':' && at(i + 1) == ':' {
            found.push(Token::PathSeparator);
            i += 2;
        } else {
            if !at(i).is_whitespace() {
                found.push(Token::Sign(at(i)));
            }
            i += 1;
        }
    }
    found
}

/// Every path in the source of the module `module` (without `crate`), as segments; `super`, `self` and `crate` resolved.
fn paths(source: &str, module: &[String]) -> Vec<Vec<String>> {
    let tokens = tokens(source);
    let (mut found, mut i) = (Vec::new(), 0);
    // The inline modules around a place, each with the brace depth it began at.
    let (mut modules, mut depth): (Vec<(String, usize)>, usize) = (Vec::new(), 0);
    while i < tokens.len() {
        match &tokens[i..] {
            [Token::Word(keyword), Token::Word(name), Token::Sign('{'), ..] if keyword == "mod" => {
                depth += 1;
                modules.push((name.clone(), depth));
                i += 3;
            }
            [Token::Sign('{'), ..] => (depth, i) = (depth + 1, i + 1),
            [Token::Sign('}'), ..] => {
                modules.retain(|(_, start)| *start < depth);
                (depth, i) = (depth.saturating_sub(1), i + 1);
            }
            [Token::Word(_) | Token::PathSeparator, ..] => {
                let here: Vec<String> = module.iter().chain(modules.iter().map(|(name, _)| name)).cloned().collect();
                let (trees, next) = tree(&tokens, i, &[]);
                found.extend(trees.into_iter().map(|path| resolved(path, &here)));
                i = next.max(i + 1);
            }
            _ => i += 1,
        }
    }
    found
}

/// The paths of the (use) tree that begins at `i`, each after `prefix`, and the place behind it.
fn tree(tokens: &[Token], mut i: usize, prefix: &[String]) -> (Vec<Vec<String>>, usize) {
    let mut path = prefix.to_vec();
    loop {
        match tokens.get(i) {
            Some(Token::PathSeparator) if matches!(tokens.get(i + 1), Some(Token::Sign('{'))) => {
                let (mut all, mut next) = (Vec::new(), i + 2);
                while next < tokens.len() && tokens[next] != Token::Sign('}') {
                    if matches!(tokens[next], Token::Word(_) | Token::PathSeparator) {
                        let (inner, end) = tree(tokens, next, &path);
                        all.extend(inner);
                        next = end.max(next + 1);
                    } else {
                        next += 1;
                    }
                }
                return (all, next + 1);
            }
            Some(Token::PathSeparator) => i += 1,
            Some(Token::Word(word)) if path.len() == prefix.len() || tokens[i - 1] == Token::PathSeparator => {
                path.push(word.clone());
                i += 1;
            }
            _ => return (vec![path], i),
        }
    }
}

fn resolved(path: Vec<String>, module: &[String]) -> Vec<String> {
    let mut here = module.to_vec();
    let mut segments = path.into_iter().peekable();
    match segments.peek().map(String::as_str) {
        Some("crate" | "quantscope") => return std::iter::once("crate".to_owned()).chain(segments.skip(1)).collect(),
        Some("super" | "self") => {}
        _ => return segments.collect(),
    }
    while let Some(up) = segments.next_if(|segment| segment == "super" || segment == "self") {
        if up == "super" {
            here.pop();
        }
    }
    std::iter::once("crate".to_owned()).chain(here).chain(segments).collect()
}

fn names(path: &[String], target: &str) -> bool {
    match (target.strip_prefix("crate::"), target.strip_suffix('*')) {
        (Some(inner), _) => {
            let wanted: Vec<&str> = std::iter::once("crate").chain(inner.split("::")).collect();
            path.len() >= wanted.len() && path.iter().zip(wanted).all(|(found, wanted)| found == wanted)
        }
        // A crate may also be reached through another's re-export: `leptos::web_sys`.
        (_, Some(prefix)) => path.len() > 1 && path.iter().any(|segment| segment.starts_with(prefix)),
        _ => path.len() > 1 && path.iter().any(|segment| segment == target),
    }
}

/// What the source of a file (its path below `src`) draws that it must not.
fn violations(file: &str, source: &str) -> Vec<String> {
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    module.pop_if(|last| last == "mod" || last == "lib");
    let area = match module.first().map_or("lib", String::as_str) {
        "chart" if module.get(1).is_some_and(|part| part == "paint") => "chart/paint",
        area => area,
    };
    let applies = |areas: &[&str]| {
        let except = areas.iter().any(|other| other.strip_prefix('!') == Some(area));
        areas.contains(&area) || (areas.contains(&"*") && !except)
    };
    let mut found = Vec::new();
    for path in paths(source, &module) {
        for (_, targets, reason) in NEVER.iter().filter(|(areas, ..)| applies(areas)) {
            for target in targets.iter().filter(|target| names(&path, target)) {
                found.push(format!("src/{file} names {} ({target}): {reason}", path.join("::")));
            }
        }
    }
    found.dedup();
    found
}

/// Whether a file rounds half away from zero, where every rounding is half to even.
fn rounds_away(source: &str) -> bool {
    let tokens = tokens(source);
    let is_round = |window: &[Token]| matches!(window, [Token::Sign('.') | Token::PathSeparator, Token::Word(word)] if word == "round");
    tokens.windows(2).any(is_round)
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src is there") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Every source file with its path below `src`, in a fixed order.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    source_files(&root, &mut files);
    files.sort();
    let name = |path: &Path| path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("source is text"))).collect()
}

#[test]
fn no_arrow_is_drawn_that_must_not_be() {
    let files = sources();
    assert!(files.len() > 20, "only {} files found", files.len());
    let found: Vec<String> = files.iter().flat_map(|(file, source)| violations(file, source)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn files_are_rooms() {
    let mut sizes: Vec<(usize, String)> = sources()
        .into_iter()
        .filter(|(file, _)| !GENERATED.contains(&file.as_str()))
        .map(|(file, source)| (source.lines().count(), file))
        .collect();
    sizes.sort();
    println!("{} files, median {} lines", sizes.len(), sizes[sizes.len() / 2].0);
    for (lines, file) in sizes.iter().rev().take(5) {
        println!("{lines:5} {file}");
    }
    let long: Vec<_> = sizes.iter().filter(|(lines, _)| *lines > MOST_LINES).collect();
    assert!(long.is_empty(), "longer than {MOST_LINES} lines: {long:?}");
}

#[test]
fn rounding_is_half_to_even() {
    let numeric = |file: &str| ["quant/", "engine/", "analysis/"].iter().any(|area| file.starts_with(area));
    let files: Vec<_> = sources().into_iter().filter(|(file, _)| numeric(file)).collect();
    let found: Vec<_> = files.iter().filter(|(_, source)| rounds_away(source)).map(|(file, _)| file).collect();
    assert!(found.is_empty(), "these use .round(), which rounds half away from zero: {found:?}");
}

#[test]
fn the_checker_sees_forbidden_arrows() {
    let caught = [
        ("quant/table.rs", "use crate::{tensor::DType, engine::Plan};"),
        ("quant/table.rs", "use crate::{tensor::{self, DType}, worker};"),
        ("quant/table.rs", "use quantscope::ui;"),
        ("quant/table.rs", "use super::super::engine as e;"),
        ("quant/mod.rs", "pub use super::engine::Plan;"),
        ("problem.rs", "fn f() -> crate::engine::Plan { todo!() }"),
        ("problem.rs", "fn f() { let x: super::ui::Session; }"),
        ("onnx/a/b.rs", "mod tests { mod deep {} use super::super::super::super::platform; }"),
        ("export/csv.rs", "fn f() { web_sys::window(); }"),
        ("export/csv.rs", "use ::leptos_use::{use_window};"),
        ("import/mod.rs", "extern crate x; fn f<'a>(c: char) { if c == '\"' { js_sys::Date::now(); } }"),
        ("worker/service.rs", "use tract_onnx::prelude::*;"),
        ("lib.rs", "fn f() { tract_core::f(); }"),
        ("ui/app.rs", "use crate::import::cifar;"),
        ("ui/app.rs", "use crate::worker::{client, service::Store};"),
        ("ui/app.rs", "fn f(e: leptos::web_sys::Event) {}"),
        ("ui/app.rs", "use wasm_bindgen::closure::Closure;"),
        ("chart/scene.rs", "use leptos::prelude::*;"),
        ("chart/paint.rs", "use leptos::prelude::*;"),
        ("chart/scene.rs", "use web_sys::CanvasRenderingContext2d;"),
        ("engine/plan.rs", r##"const A: &str = r#"quote " inside"#; use crate::import::x;"##),
    ];
    for (file, source) in caught {
        assert!(!violations(file, source).is_empty(), "{file}: {source}");
    }
}

#[test]
fn the_checker_lets_others_pass() {
    let fine = [
        (
            "quant/table.rs",
            "// use crate::engine;\n/* crate::ui /* nested */ crate::ui::a */ use crate::tensor::DType;",
        ),
        ("quant/table.rs", "const A: &str = \"crate::engine::Plan and \\\" tract_onnx::x\";"),
        ("quant/table.rs", "use super::engine::Rounding; mod tests { use super::super::ui::x; }"),
        ("engine/plan.rs", "use tract_onnx::prelude::*; use crate::quant::quantize;"),
        ("platform/file.rs", "use web_sys::File; use wasm_bindgen::prelude::*;"),
        ("chart/paint.rs", "use plotters_canvas::CanvasBackend;"),
        ("worker/service.rs", "use crate::{engine, import, export};"),
        ("ui/app.rs", "use crate::worker::client::Client; use leptos::prelude::*; let engine = 1;"),
        ("export/report.rs", "let leptos_like = engine; fn tract() {}"),
    ];
    for (file, source) in fine {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{source}");
    }
    assert!(rounds_away("let a = x.round();") && rounds_away("xs.map(f32::round)"));
    assert!(!rounds_away("// .round()\nlet round = x.round_ties_even();"));
}
