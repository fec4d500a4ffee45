//! Telling a damaged model from a file that never was one.

use super::schema::{Kind, Message};
use super::wire::{LENGTH, VARINT, varint};

/// What the bytes look like where they are certainly not a model: empty, text, the mark of another format, or a
/// beginning that no `ModelProto` has. `None` where they may be a (damaged) model.
pub(super) fn not_a_model(bytes: &[u8]) -> Option<String> {
    let starts = |mark: &[u8]| bytes.starts_with(mark);
    let named = match bytes {
        [] => Some("an empty file"),
        _ if starts(b"version https://git-lfs") => Some("a Git LFS pointer, which stands for a file kept elsewhere"),
        _ if starts(b"\x89HDF\r\n\x1a\n") => Some("an HDF5 file"),
        _ if starts(b"PK\x03\x04") => Some("a zip archive"),
        _ if starts(b"\x89PNG") => Some("a PNG image"),
        _ if starts(b"\xff\xd8\xff") => Some("a JPEG image"),
        _ if starts(b"\x1f\x8b") => Some("a gzip archive"),
        _ if starts(b"\x80\x02") || starts(b"\x80\x04") => Some("a Python pickle"),
        _ if bytes.get(4..8) == Some(b"TFL3") => Some("a TensorFlow Lite model"),
        _ => None,
    };
    if let Some(named) = named {
        return Some(named.to_owned());
    }
    let head = bytes.get(..64).unwrap_or(bytes);
    let text = std::str::from_utf8(head.split_at(head.len().min(48)).0).ok();
    if let Some(text) = text.filter(|text| text.chars().all(|c| !c.is_control() || c.is_whitespace())) {
        let start: String = text.chars().take(24).collect();
        let lower = start.trim_start().to_lowercase();
        return Some(match lower.starts_with("<!doctype") || lower.starts_with("<html") {
            true => "a web page".to_owned(),
            false => format!("text that begins with {start:?}"),
        });
    }
    let hex = || head.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    match begins_like_a_model(bytes) {
        true => None,
        false => Some(format!("bytes that begin with {}", hex())),
    }
}

/// Whether the first field is one of `ModelProto`, in its wire type.
fn begins_like_a_model(bytes: &[u8]) -> bool {
    let Some((tag, _)) = varint(bytes, 0) else { return false };
    let field = u32::try_from(tag >> 3).ok().and_then(|number| Message::Model.field(number));
    let wire = field.map(|field| if field.kind == Kind::Varint { VARINT } else { LENGTH });
    wire == Some((tag & 7) as u8)
}

#[cfg(test)]
mod tests {
    use super::not_a_model;

    #[test]
    fn other_files_are_named() {
        for (bytes, part) in [
            (&b""[..], "empty"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "Git LFS"),
            (b"<!DOCTYPE html><html>", "web page"),
            (b"{\"model\": 1}", "text that begins with"),
            (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
            (b"\x1c\0\0\0TFL3\0\0", "TensorFlow Lite"),
            (b"\x00\x01\x02\x03", "00 01 02 03"),
            (b"\x80\x02}q\x00", "pickle"),
        ] {
            let found = not_a_model(bytes).unwrap();
            assert!(found.contains(part), "{found}");
        }
        assert_eq!(not_a_model(b"\x08\x08\x12\x01x"), None);
    }
}
