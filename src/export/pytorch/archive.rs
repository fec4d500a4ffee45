//! The files of an export in one archive.

use super::{PytorchError, PytorchExport};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// `model.py`, `model_pt2e.py` where there is one, `model.safetensors`, `model.pt` and `notes.txt`, stored with a fixed
/// date: equal exports give equal bytes.
pub fn pytorch_zip(export: &PytorchExport) -> Result<Vec<u8>, PytorchError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let notes = export.notes.join("\n");
    let mut files: Vec<(&str, &[u8])> = vec![("model.py", export.model_py.as_bytes())];
    files.extend(export.model_pt2e_py.as_ref().map(|code| ("model_pt2e.py", code.as_bytes())));
    files.extend([("model.safetensors", export.safetensors.as_slice()), ("model.pt", export.state_dict.as_slice())]);
    if !notes.is_empty() {
        files.push(("notes.txt", notes.as_bytes()));
    }
    let failed = |error: &dyn std::fmt::Display| PytorchError::Write(error.to_string());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let large = u32::try_from(content.len()).is_err();
        archive.start_file(name, options.large_file(large)).map_err(|error| failed(&error))?;
        archive.write_all(content).map_err(|error| failed(&error))?;
    }
    archive.finish().map(Cursor::into_inner).map_err(|error| failed(&error))
}
