//! Dropped files and the paths they come with.

use bytes::Bytes;

/// One file as it was dropped, picked or unpacked.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its path: a bare name, or with the folders it came in ("val/cat/1.png").
    pub path: String,
    /// Its content.
    pub bytes: Bytes,
}

impl SourceFile {
    /// A file of these bytes.
    pub fn new(path: impl Into<String>, bytes: impl Into<Bytes>) -> Self {
        SourceFile { path: path.into(), bytes: bytes.into() }
    }
}

/// The part after the last slash.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The part before the last slash; empty for a bare name.
pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The base name without its last extension.
pub(super) fn stem(path: &str) -> &str {
    let base = base_name(path);
    base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem })
}

/// The last extension in lower case; empty without one.
pub(super) fn extension(path: &str) -> String {
    base_name(path).rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase())
}

/// The path with forward slashes and without empty, `.` and `..` parts: a path inside an archive is only a name.
pub(super) fn clean_path(path: &str) -> String {
    let parts = path.split(['/', '\\']).filter(|part| !matches!(*part, "" | "." | ".."));
    parts.collect::<Vec<_>>().join("/")
}

/// What operating systems leave in folders and archives: nobody means to open it.
pub(super) fn is_litter(path: &str) -> bool {
    let base = base_name(path);
    base.starts_with("._")
        || matches!(base, ".DS_Store" | "Thumbs.db" | "desktop.ini" | ".gitattributes" | ".gitignore")
        || path.split('/').any(|part| part == "__MACOSX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fall_apart() {
        assert_eq!((folder("val/cat/1.png"), base_name("val/cat/1.png")), ("val/cat", "1.png"));
        assert_eq!((folder("a"), stem("a.tar.gz"), stem(".hidden")), ("", "a.tar", ".hidden"));
        assert_eq!(extension("A.PNG"), "png");
        assert_eq!(clean_path("../../etc\\./passwd"), "etc/passwd");
        assert!(is_litter("__MACOSX/cat/._1.png") && is_litter("cat/.DS_Store") && !is_litter("cat/1.png"));
    }
}
