//! Class names: from text files, from JSON, from a model's metadata.

use super::source::{base_name, extension};
use serde_json::Value;
use std::collections::BTreeMap;

/// Longer lines are prose.
const MAX_NAME_CHARS: usize = 120;
const MAX_CLASSES: usize = 100_000;

/// Class names in a text file: one per line (digits too, where they cannot be one label per image), or JSON (a list, or an object of index to name as in Hugging Face's
/// `id2label`). `None` where it is other text: prose, numbers, code, tables.
pub fn parse(path: &str, text: &str) -> Option<Vec<String>> {
    let extension = extension(path);
    let base = base_name(path).to_ascii_lowercase();
    if base.starts_with("readme") || base.starts_with("license") {
        return None;
    }
    match extension.as_str() {
        "json" => from_json(text),
        "txt" | "names" | "labels" | "classes" | "meta" | "" => from_lines(text),
        _ => None,
    }
}

fn from_lines(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.trim_end().lines().map(|line| line.trim().to_owned()).collect();
    let is_name = |name: &String| {
        !name.is_empty()
            && name.chars().count() <= MAX_NAME_CHARS
            && (is_number(name) || name.chars().any(char::is_alphabetic))
            && !name.starts_with(['<', '{', '[', '#'])
            && !name.ends_with(['.', ';', ':', '{'])
    };
    let names = (2..=MAX_CLASSES).contains(&names.len()).then_some(names)?;
    (names.iter().all(is_name) && numbers_are_names(&names)).then_some(names)
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits may be classes (house numbers; digits and letters), but a file of numbers alone is more often one label per
/// image. Classes have distinct names, and numbers alone name classes where they count up one by one.
fn numbers_are_names(names: &[String]) -> bool {
    let one_more = |pair: &[u64]| matches!(pair, [a, b] if a.checked_add(1) == Some(*b));
    if names.iter().all(|name| is_number(name)) {
        let numbers: Option<Vec<u64>> = names.iter().map(|name| name.parse().ok()).collect();
        return numbers.is_some_and(|numbers| numbers.windows(2).all(one_more));
    }
    let mut numbers: Vec<&String> = names.iter().filter(|name| is_number(name)).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.len() == count
}

fn from_json(text: &str) -> Option<Vec<String>> {
    let value: Value = serde_json::from_str(text).ok()?;
    let value = value.get("id2label").unwrap_or(&value);
    match value {
        Value::Array(names) => names.iter().map(|name| name.as_str().map(str::to_owned)).collect(),
        Value::Object(map) => {
            let pairs = map.iter().map(|(key, name)| Some((key.parse().ok()?, name.as_str()?.to_owned())));
            by_index(pairs.collect::<Option<BTreeMap<usize, String>>>()?)
        }
        _ => None,
    }
    .filter(|names: &Vec<String>| !names.is_empty())
}

/// Names whose indices are 0, 1, 2, ...
fn by_index(names: BTreeMap<usize, String>) -> Option<Vec<String>> {
    names.keys().copied().eq(0..names.len()).then(|| names.into_values().collect())
}

/// Class names that a model carries in `metadata_props`, under one of the usual keys: JSON, Python's dict of index to
/// name (`{0: 'person', 1: 'bicycle'}`, as Ultralytics writes), or names separated by newlines or commas.
pub fn class_names_from_metadata<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Vec<String>> {
    const KEYS: [&str; 7] = ["names", "class_names", "classes", "labels", "label_names", "id2label", "categories"];
    let text = metadata.into_iter().find(|(key, _)| KEYS.contains(&key.to_ascii_lowercase().as_str()))?.1.trim();
    if let Some(names) = from_json(text).or_else(|| from_python(text)) {
        return Some(names);
    }
    let separator = if text.contains('\n') { '\n' } else { ',' };
    let names: Vec<String> = text.split(separator).map(|name| name.trim().to_owned()).collect();
    (names.len() > 1 && names.iter().all(|name| !name.is_empty())).then_some(names)
}

/// `['a', 'b']` or `{0: 'a', 1: "b's"}`.
fn from_python(text: &str) -> Option<Vec<String>> {
    let dict = text.starts_with('{');
    let inside = text.strip_prefix(['{', '['])?.strip_suffix(['}', ']'])?;
    let mut names = BTreeMap::new();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let mut index = names.len();
        if dict {
            let (key, after) = rest.split_once(':')?;
            index = key.trim().parse().ok()?;
            rest = after.trim_start();
        }
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (name, after) = rest.get(1..)?.split_once(quote)?;
        names.insert(index, name.to_owned());
        rest = after.trim_start().trim_start_matches(',').trim_start();
    }
    by_index(names).filter(|names| !names.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_names_and_other_text() {
        assert_eq!(parse("batches.meta.txt", "airplane\nbird\n\n").unwrap(), ["airplane", "bird"]);
        assert_eq!(parse("labels.txt", "tench, Tinca tinca\r\ngoldfish\r\n").unwrap()[0], "tench, Tinca tinca");
        assert!(parse("labels.txt", "3\n8\n8\n").is_none());
        assert!(parse("labels.txt", "7\n2\n1\n0\n").is_none() && parse("a.txt", "0.5\n1.5\n").is_none());
        let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
        assert_eq!(parse("batches.meta.txt", &(digits.join("\n") + "\n")).unwrap(), digits);
        assert_eq!(parse("classes.txt", "0\n1\nA\nB\n").unwrap(), ["0", "1", "A", "B"]);
        assert!(
            parse("log.txt", "3\ncat\n3\n").is_none() && parse("a.txt", &format!("0\n{}\n", "9".repeat(30))).is_none()
        );
        assert!(parse("notes.txt", "This is a sentence.\nAnd another.").is_none());
        assert!(parse("readme.txt", "a\nb").is_none());
        assert!(parse("index.csv", "a,b\nc,d").is_none());
        assert!(parse("model.onnx", "a\nb").is_none());
    }

    #[test]
    fn json_and_metadata() {
        assert_eq!(parse("a.json", "[\"cat\", \"dog\"]").unwrap(), ["cat", "dog"]);
        assert_eq!(parse("a.json", "{\"id2label\": {\"1\": \"dog\", \"0\": \"cat\"}}").unwrap(), ["cat", "dog"]);
        assert!(parse("a.json", "{\"0\": 3}").is_none() && parse("a.json", "{\"5\": \"a\"}").is_none());
        let meta = |text| class_names_from_metadata([("author", "me"), ("names", text)]);
        assert_eq!(meta("{0: 'person', 1: \"traffic: light\"}").unwrap(), ["person", "traffic: light"]);
        assert_eq!(meta("['a', 'b']").unwrap(), ["a", "b"]);
        assert_eq!(meta("cat, dog,bird").unwrap(), ["cat", "dog", "bird"]);
        assert!(meta("{0: ").is_none() && meta("").is_none());
    }
}
