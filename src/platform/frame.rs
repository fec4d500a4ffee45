//! What travels between the page and the worker: a number, an encoded body, and attachments.
//!
//! On the wire a frame is the array `[id, body, attachments]`. Bodies and byte attachments are `ArrayBuffer`s that
//! are transferred, not copied; files are handles, so their bytes are read in the worker only.

use super::error::PlatformError;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// A message in either direction.
#[derive(Debug, Default)]
pub struct Frame {
    /// Number of the request; a reply carries the number of its request.
    pub id: u32,
    /// The encoded request, reply or notice.
    pub body: Vec<u8>,
    /// Handles of files the request speaks of.
    pub files: Vec<web_sys::File>,
    /// Large results that are handed over as they are.
    pub blobs: Vec<Vec<u8>>,
}

impl Frame {
    /// A frame without attachments.
    pub fn new(id: u32, body: Vec<u8>) -> Self {
        Frame { id, body, ..Frame::default() }
    }

    /// The message and its transfer list.
    pub(super) fn to_message(&self) -> (JsValue, JsValue) {
        let transfer = Array::new();
        let buffer = |bytes: &[u8]| {
            let buffer = Uint8Array::from(bytes).buffer();
            transfer.push(&buffer);
            buffer
        };
        let attachments = Array::new();
        let message = Array::of3(&JsValue::from(self.id), &buffer(&self.body), &attachments);
        for blob in &self.blobs {
            attachments.push(&buffer(blob));
        }
        for file in &self.files {
            attachments.push(file);
        }
        (message.into(), transfer.into())
    }

    /// Reads a message back.
    pub(super) fn from_message(message: &JsValue) -> Result<Self, PlatformError> {
        let malformed =
            || PlatformError::Refused { action: "reading a message", reason: "it is not a frame".to_owned() };
        let parts = message.dyn_ref::<Array>().filter(|parts| parts.length() == 3).ok_or_else(malformed)?;
        let id = parts.get(0).as_f64().ok_or_else(malformed)? as u32;
        let body = parts.get(1).dyn_into::<ArrayBuffer>().map_err(|_| malformed())?;
        let mut frame = Frame::new(id, Uint8Array::new(&body).to_vec());
        for attachment in parts.get(2).dyn_ref::<Array>().ok_or_else(malformed)?.iter() {
            match attachment.dyn_into::<ArrayBuffer>() {
                Ok(buffer) => frame.blobs.push(Uint8Array::new(&buffer).to_vec()),
                Err(other) => frame.files.push(other.dyn_into().map_err(|_| malformed())?),
            }
        }
        Ok(frame)
    }
}
