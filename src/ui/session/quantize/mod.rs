//! Quantizing an open model, and opening what comes of it.

mod form;

pub use form::{Form, ImagesBy, TYPES, dtype_named, listed, names};

use super::Session;
use crate::platform;
use crate::worker::{QuantizeOrder, QuantizedFile, Reply, Request};
use leptos::prelude::*;
use std::sync::Arc;

/// A model that was quantized here.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedHere {
    /// What the worker says of it.
    pub made: QuantizedFile,
    /// The model's file.
    pub bytes: Arc<[u8]>,
}

impl Session {
    /// Quantizes a float model and opens the result beside it.
    pub fn quantize(self, order: QuantizeOrder) {
        let id = self.ask(Request::Quantize(Box::new(order)), &[], move |reply, blob| {
            if let (Reply::Quantized(made), Some(bytes)) = (reply, blob) {
                self.open_made(&made.name, &bytes);
                self.quantized.set(Some(QuantizedHere { made, bytes: bytes.into() }));
            }
        });
        self.begin(id, "Calibrating".to_owned());
    }

    /// Opens a model that was made here, as if it had been dropped.
    pub fn open_made(self, name: &str, bytes: &[u8]) {
        match platform::file_of_bytes(name, bytes) {
            Ok(file) => self.open(vec![file]),
            Err(error) => self.say(name, &error.to_string(), "a file in memory", "Reload the page and try again."),
        }
    }

    /// Offers a model that was made here as a file.
    pub fn save_made(self, name: &str, bytes: &[u8]) {
        if let Err(error) = platform::download::download(name, "application/octet-stream", bytes) {
            self.say("saving", &error.to_string(), "a download", "Allow downloads for this page.");
        }
    }
}
