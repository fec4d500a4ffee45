//! Writing a pickle of protocol 2: as much of it as a state dict is made of.

/// A pickle as it grows. Data only: the globals it names are those of a state dict.
pub(super) struct Pickle {
    bytes: Vec<u8>,
}

impl Pickle {
    pub fn new() -> Self {
        Pickle { bytes: vec![0x80, 2] }
    }

    /// `STOP`.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }

    pub fn global(&mut self, module: &str, name: &str) {
        self.bytes.push(b'c');
        self.bytes.extend_from_slice(format!("{module}\n{name}\n").as_bytes());
    }

    pub fn mark(&mut self) {
        self.bytes.push(b'(');
    }

    /// The values since the mark as a tuple.
    pub fn tuple(&mut self) {
        self.bytes.push(b't');
    }

    pub fn empty_tuple(&mut self) {
        self.bytes.push(b')');
    }

    /// Calls the callable below the tuple on top.
    pub fn reduce(&mut self) {
        self.bytes.push(b'R');
    }

    /// Sets the pairs since the mark in the dict below it.
    pub fn set_items(&mut self) {
        self.bytes.push(b'u');
    }

    /// A reference to what is stored elsewhere, by the id on top.
    pub fn persistent(&mut self) {
        self.bytes.push(b'Q');
    }

    pub fn boolean(&mut self, value: bool) {
        self.bytes.push(if value { 0x88 } else { 0x89 });
    }

    pub fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        // Names are short; a longer one than u32 counts does not exist in memory of this size.
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn integer(&mut self, value: i64) {
        match i32::try_from(value) {
            Ok(small) => {
                self.bytes.push(b'J');
                self.bytes.extend_from_slice(&small.to_le_bytes());
            }
            Err(_) => {
                // LONG1: eight bytes, little-endian, two's complement.
                self.bytes.extend_from_slice(&[0x8a, 8]);
                self.bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    pub fn integers(&mut self, values: impl Iterator<Item = i64>) {
        self.mark();
        values.for_each(|value| self.integer(value));
        self.tuple();
    }
}
