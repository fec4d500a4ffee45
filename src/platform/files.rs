//! Files that the user drops, picks or pastes.

use super::error::PlatformError;
use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    ClipboardEvent, DataTransfer, DragEvent, File, FileList, FileReaderSync, FileSystemDirectoryEntry, FileSystemEntry,
    FileSystemFileEntry, HtmlInputElement,
};

/// A handle of a file with its path inside what was dropped ("val/cat/1.png"); nothing is read yet.
#[derive(Clone, Debug)]
pub struct PickedFile {
    /// Name, with the folders it was dropped in.
    pub path: String,
    /// The browser's handle.
    pub file: File,
}

fn list(files: Option<FileList>) -> Vec<PickedFile> {
    let Some(files) = files else { return Vec::new() };
    let files = (0..files.length()).filter_map(|i| files.get(i));
    files.map(|file| PickedFile { path: file.name(), file }).collect()
}

/// A file of bytes that were made here, to be opened as if the user had picked it.
pub fn file_of_bytes(name: &str, bytes: &[u8]) -> Result<PickedFile, PlatformError> {
    let parts = Array::of1(&Uint8Array::from(bytes));
    let file = File::new_with_u8_array_sequence(&parts, name);
    let file = file.map_err(|thrown| PlatformError::refused("making a file", &thrown))?;
    Ok(PickedFile { path: name.to_owned(), file })
}

/// Bytes in a file.
pub fn file_size(file: &File) -> u64 {
    // Sizes are whole and far below 2^53.
    file.size() as u64
}

/// Reads so many bytes of a file from a position on. Only in a worker: the page's own thread must not block.
pub fn read_part(file: &File, start: u64, count: usize) -> Result<Vec<u8>, PlatformError> {
    let failed = |thrown: JsValue| PlatformError::refused("reading the file", &thrown);
    let reader = FileReaderSync::new().map_err(failed)?;
    let (start, end) = (start as f64, start as f64 + count as f64);
    let part = file.slice_with_f64_and_f64(start, end).map_err(failed)?;
    let buffer = reader.read_as_array_buffer(&part).map_err(failed)?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

/// Most bytes of a text that the page itself reads.
const MOST_TEXT_BYTES: f64 = 8e6;

/// Reads a small text file without blocking the page.
pub async fn read_text(file: &File) -> Result<String, PlatformError> {
    if file.size() > MOST_TEXT_BYTES {
        let reason = format!("it has {} bytes, more than {MOST_TEXT_BYTES}", file.size());
        return Err(PlatformError::Refused { action: "reading the file", reason });
    }
    let text = JsFuture::from(file.text()).await;
    let text = text.map_err(|thrown| PlatformError::refused("reading the file", &thrown))?;
    text.as_string().ok_or(PlatformError::Missing("text in this file"))
}

/// Files of a paste; empty where text or nothing was pasted.
pub fn files_of_paste(event: &ClipboardEvent) -> Vec<PickedFile> {
    list(event.clipboard_data().and_then(|data| data.files()))
}

/// Files of a drop, folders walked through. The browser forgets the items when the event ends, so they are taken before
/// the first wait.
pub fn files_of_drop(event: &DragEvent) -> impl Future<Output = Vec<PickedFile>> + use<> {
    let (mut found, folders) = event.data_transfer().map_or((Vec::new(), Vec::new()), |data| dropped(&data));
    async move {
        let mut waiting = folders;
        while let Some(folder) = waiting.pop() {
            for entry in children(&folder).await {
                if entry.is_directory() {
                    waiting.push(entry.unchecked_into());
                } else if let Some(file) = file_of(entry.unchecked_ref()).await {
                    found.push(PickedFile { path: entry.full_path().trim_start_matches('/').to_owned(), file });
                }
            }
        }
        found.sort_by(|a, b| a.path.cmp(&b.path));
        found
    }
}

/// The files and the folders of a drop. A file is taken as such, not through its entry, which some sources of drags lack.
fn dropped(data: &DataTransfer) -> (Vec<PickedFile>, Vec<FileSystemDirectoryEntry>) {
    let items = data.items();
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for item in (0..items.length()).filter_map(|position| items.get(position)) {
        let entry = item.webkit_get_as_entry().ok().flatten();
        // The entry says itself what it is; Chromium's entries are instances of older classes than the standard's.
        match (entry.filter(FileSystemEntry::is_directory), item.get_as_file()) {
            (Some(folder), _) => folders.push(folder.unchecked_into()),
            (None, Ok(Some(file))) => files.push(PickedFile { path: file.name(), file }),
            (None, _) => {}
        }
    }
    (files, folders)
}

async fn file_of(entry: &FileSystemFileEntry) -> Option<File> {
    let promise = Promise::new(&mut |resolve, reject| {
        entry.file_with_callback_and_callback(&resolve, &reject);
    });
    JsFuture::from(promise).await.ok()?.dyn_into().ok()
}

/// All entries of a folder; a reader hands out at most a hundred at a time until it gives none.
async fn children(directory: &FileSystemDirectoryEntry) -> Vec<FileSystemEntry> {
    let reader = directory.create_reader();
    let mut all = Vec::new();
    loop {
        let promise = Promise::new(&mut |resolve, reject| {
            let _ = reader.read_entries_with_callback_and_callback(&resolve, &reject);
        });
        let batch = JsFuture::from(promise).await.ok().and_then(|batch| batch.dyn_into::<Array>().ok());
        match batch.filter(|batch| batch.length() > 0) {
            Some(batch) => all.extend(batch.iter().map(JsCast::unchecked_into)),
            None => return all,
        }
    }
}

/// Files the user chose in a file input, which is emptied so that the same files can be chosen again.
pub fn files_of_input(input: &HtmlInputElement) -> Vec<PickedFile> {
    let picked = list(input.files());
    input.set_value("");
    picked
}
