//! How much a file may unpack to.

use super::ImportError;
use std::io::Read;

/// Bounds that keep a hostile or mistaken file from taking the tab's memory. A wasm32 tab has 4 GiB at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that all archives of one drop may unpack to, together.
    pub unpacked_bytes: u64,
    /// Largest ratio of unpacked to packed bytes of one archive, above [`Limits::ratio_floor_bytes`].
    pub ratio: u64,
    /// Below this many unpacked bytes any ratio is fine: a small array of zeros packs a thousandfold.
    pub ratio_floor_bytes: u64,
    /// Members of one archive.
    pub members: usize,
    /// Archives inside archives.
    pub nesting: usize,
    /// Pixels of one picture.
    pub image_pixels: u64,
    /// Pixels decoded while opening, over all pictures, to find broken ones early; later ones are found when used.
    pub checked_pixels: u64,
    /// Values in one pickle.
    pub pickle_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            unpacked_bytes: 3 << 29, // 1.5 GiB
            ratio: 200,
            ratio_floor_bytes: 64 << 20,
            members: 200_000,
            nesting: 3,
            image_pixels: 64 << 20,
            checked_pixels: 32 << 20,
            pickle_values: 4 << 20,
        }
    }
}

/// What is left of the limits during one drop.
#[derive(Debug)]
pub(super) struct Budget<'a> {
    pub limits: &'a Limits,
    unpacked_bytes: u64,
}

impl<'a> Budget<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Budget { limits, unpacked_bytes: 0 }
    }

    /// Reads to the end, in steps, and stops at the limits before memory is taken. `packed_bytes` is the size of what
    /// the reader unpacks. The sizes that archives claim are not trusted, so nothing is reserved by them.
    pub fn read(&mut self, mut from: impl Read, place: &str, packed_bytes: u64) -> Result<Vec<u8>, ImportError> {
        const STEP_BYTES: usize = 1 << 16;
        let mut out = Vec::new();
        let mut step = vec![0; STEP_BYTES];
        loop {
            let count = match from.read(&mut step) {
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unpack_error(place, out.len(), &error)),
            };
            let Some(read) = step.get(..count).filter(|read| !read.is_empty()) else { return Ok(out) };
            self.charge(place, count as u64)?;
            check_ratio(self.limits, place, (out.len() + count) as u64, packed_bytes)?;
            if out.try_reserve(count).is_err() {
                return Err(self.too_large(place));
            }
            out.extend_from_slice(read);
        }
    }

    /// Counts bytes that are taken without being read through [`Self::read`].
    pub fn charge(&mut self, place: &str, bytes: u64) -> Result<(), ImportError> {
        self.unpacked_bytes = self.unpacked_bytes.saturating_add(bytes);
        if self.unpacked_bytes > self.limits.unpacked_bytes { Err(self.too_large(place)) } else { Ok(()) }
    }

    fn too_large(&self, place: &str) -> ImportError {
        ImportError::LimitExceeded {
            place: place.to_owned().into(),
            what: "unpacked bytes".into(),
            found: self.unpacked_bytes,
            limit: self.limits.unpacked_bytes,
        }
    }
}

/// Fails where `unpacked_bytes` out of `packed_bytes` can only be a bomb.
pub(super) fn check_ratio(
    limits: &Limits,
    place: &str,
    unpacked_bytes: u64,
    packed_bytes: u64,
) -> Result<(), ImportError> {
    let allowed = packed_bytes.saturating_mul(limits.ratio).max(limits.ratio_floor_bytes);
    if unpacked_bytes <= allowed {
        return Ok(());
    }
    Err(ImportError::LimitExceeded {
        place: place.to_owned().into(),
        what: format!("bytes unpacked from {packed_bytes}").into(),
        found: unpacked_bytes,
        limit: allowed,
    })
}

/// A decompressor's complaint.
pub(super) fn unpack_error(place: &str, read_bytes: usize, error: &std::io::Error) -> ImportError {
    ImportError::format(
        place.to_owned(),
        format!("compressed data that breaks after {read_bytes} unpacked bytes ({error})"),
        "complete compressed data",
        "The file is cut short or damaged: download or copy it again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let limits = Limits { unpacked_bytes: 100_000, ..Limits::default() };
        let mut budget = Budget::new(&limits);
        let error = budget.read(std::io::repeat(0), "member", u64::MAX).unwrap_err();
        assert!(matches!(error, ImportError::LimitExceeded { found, limit: 100_000, .. } if found < 200_000));
    }

    #[test]
    fn the_ratio_counts_above_the_floor_only() {
        let limits = Limits { ratio: 10, ratio_floor_bytes: 1000, ..Limits::default() };
        assert!(check_ratio(&limits, "", 1000, 1).is_ok());
        assert!(check_ratio(&limits, "", 1001, 1).is_err());
        assert!(check_ratio(&limits, "", 5000, 500).is_ok());
    }
}
