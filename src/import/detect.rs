//! What a file is, by its content. The extension only breaks a tie where a format has no mark of its own.

use super::cifar::Layout;
use super::source::{base_name, extension};
use super::{archive, names, npy};
use std::io::Read;

/// The kinds of file that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// ONNX `ModelProto`.
    Onnx,
    /// CIFAR-10 or CIFAR-100 batch in the binary format.
    CifarBinary,
    /// Python pickle: a CIFAR Python batch.
    Pickle,
    /// numpy array.
    Npy,
    /// Zip of numpy arrays.
    Npz,
    /// PNG picture.
    Png,
    /// JPEG picture.
    Jpeg,
    /// WebP picture.
    Webp,
    /// Windows bitmap.
    Bmp,
    /// Gzipped tar archive.
    TarGz,
    /// Tar archive.
    Tar,
    /// Any other gzipped file.
    Gzip,
    /// Zip archive of anything: class folders, a model.
    Zip,
    /// Text with a class name per line, or JSON with class names.
    ClassNames,
    /// HDF5: a Keras model.
    Hdf5,
    /// Keras 3 archive.
    KerasZip,
    /// PyTorch archive.
    TorchZip,
    /// PyTorch file from before the archives.
    TorchLegacy,
    /// safetensors weights.
    Safetensors,
    /// TensorFlow Lite model.
    Tflite,
    /// Git LFS pointer in place of the file.
    LfsPointer,
    /// Web page in place of the file.
    WebPage,
    /// Any other text.
    Text,
    /// No byte at all.
    Empty,
    /// None of these.
    Unknown,
}

impl Kind {
    /// The kind in words, with its article.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Onnx => "an ONNX model",
            Kind::CifarBinary => "a CIFAR batch in the binary format",
            Kind::Pickle => "a Python pickle",
            Kind::Npy => "a numpy array",
            Kind::Npz => "a zip of numpy arrays",
            Kind::Png => "a PNG picture",
            Kind::Jpeg => "a JPEG picture",
            Kind::Webp => "a WebP picture",
            Kind::Bmp => "a BMP picture",
            Kind::TarGz => "a gzipped tar archive",
            Kind::Tar => "a tar archive",
            Kind::Gzip => "a gzipped file",
            Kind::Zip => "a zip archive",
            Kind::ClassNames => "a list of class names",
            Kind::Hdf5 => "an HDF5 file, such as a Keras .h5 model",
            Kind::KerasZip => "a Keras .keras model",
            Kind::TorchZip => "a PyTorch .pt file",
            Kind::TorchLegacy => "a PyTorch file of the old format",
            Kind::Safetensors => "a safetensors file",
            Kind::Tflite => "a TensorFlow Lite model",
            Kind::LfsPointer => "a Git LFS pointer instead of the file itself",
            Kind::WebPage => "a web page",
            Kind::Text => "text",
            Kind::Empty => "an empty file",
            Kind::Unknown => "unknown content",
        }
    }

    /// Whether it is a picture.
    pub fn is_picture(self) -> bool {
        matches!(self, Kind::Png | Kind::Jpeg | Kind::Webp | Kind::Bmp)
    }
}

/// Marks at fixed places: offset, bytes, kind.
const MARKS: [(usize, &[u8], Kind); 13] = [
    (0, npy::MAGIC, Kind::Npy),
    (0, b"\x89PNG\r\n\x1a\n", Kind::Png),
    (0, b"\xff\xd8\xff", Kind::Jpeg),
    (0, b"\x89HDF\r\n\x1a\n", Kind::Hdf5),
    (4, b"TFL3", Kind::Tflite),
    (257, b"ustar", Kind::Tar),
    (0, b"\x1f\x8b", Kind::Gzip),
    (0, b"PK\x03\x04", Kind::Zip),
    (0, b"PK\x05\x06", Kind::Zip),
    (8, b"WEBP", Kind::Webp),
    (0, b"version https://git-lfs.github.com/spec", Kind::LfsPointer),
    (0, b"oid sha256:", Kind::LfsPointer),
    (0, b"%PDF", Kind::Unknown),
];

/// The kind of a file of `len` bytes that starts with `head`. Give the whole content as `head` where it is at hand:
/// formats without a mark are then told by all of it, and zip archives by the names inside.
pub fn detect(path: &str, head: &[u8], len: u64) -> Kind {
    if len == 0 || head.is_empty() {
        return Kind::Empty;
    }
    let whole = head.len() as u64 == len;
    let marked = |(offset, mark, _): &(usize, &[u8], Kind)| head.get(*offset..offset + mark.len()) == Some(*mark);
    match MARKS.into_iter().find(marked).map(|mark| mark.2) {
        Some(Kind::Gzip) => gzip_kind(head),
        Some(Kind::Zip) => archive::zip_kind(head, whole),
        Some(kind) => kind,
        None => unmarked(path, head, len, whole),
    }
}

fn unmarked(path: &str, head: &[u8], len: u64, whole: bool) -> Kind {
    let extension = extension(path);
    if is_bitmap(head, len) {
        return Kind::Bmp;
    }
    if is_safetensors(head) || extension == "safetensors" {
        return Kind::Safetensors;
    }
    if is_torch_legacy(head) {
        return Kind::TorchLegacy;
    }
    if matches!(head, [0x80, 2..=5, ..]) {
        return Kind::Pickle;
    }
    let text = text_kind(path, head, whole);
    if text != Kind::Unknown {
        // Protocol 0 pickles are text; only their usual names tell them.
        return if text == Kind::Text && is_pickle_name(path) { Kind::Pickle } else { text };
    }
    if looks_like_onnx(head, len) {
        return Kind::Onnx;
    }
    let records = len.is_multiple_of(3073) || len.is_multiple_of(3074);
    if records && (Layout::Cifar10.labels_fit(head) || Layout::Cifar100.labels_fit(head)) {
        return Kind::CifarBinary;
    }
    // From here on content allows several answers.
    match extension.as_str() {
        // A damaged model: its reader says what is wrong with it.
        "onnx" => Kind::Onnx,
        "bin" if records => Kind::CifarBinary,
        "bin" if len > 2 * 3073 && Layout::Cifar10.labels_fit(head) => Kind::CifarBinary,
        "h5" | "hdf5" => Kind::Hdf5,
        "npy" => Kind::Npy,
        "tar" if is_zero_block(head) => Kind::Tar,
        _ if is_pickle_name(path) => Kind::Pickle,
        _ => Kind::Unknown,
    }
}

fn is_zero_block(head: &[u8]) -> bool {
    head.get(..512).is_some_and(|block| block.iter().all(|&byte| byte == 0))
}

fn is_pickle_name(path: &str) -> bool {
    let base = base_name(path);
    matches!(extension(path).as_str(), "pkl" | "pickle" | "meta" | "pt" | "pth")
        || matches!(base, "test_batch" | "meta")
        || base.strip_prefix("data_batch_").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

fn is_bitmap(head: &[u8], len: u64) -> bool {
    let size: Option<[u8; 4]> = head.get(2..6).and_then(|raw| raw.try_into().ok());
    head.starts_with(b"BM") && size.is_some_and(|size| u64::from(u32::from_le_bytes(size)) == len)
}

fn is_safetensors(head: &[u8]) -> bool {
    let length: Option<[u8; 8]> = head.get(..8).and_then(|raw| raw.try_into().ok());
    // The format caps the header at 100 MB.
    let plausible = length.is_some_and(|length| (2..=100_000_000).contains(&u64::from_le_bytes(length)));
    plausible && head.get(8) == Some(&b'{') && matches!(head.get(9), Some(b'"' | b'}' | b' '))
}

/// PyTorch's old files begin with a pickle of one number, in any protocol: as text (LONG), or as ten bytes (LONG1) behind
/// the protocol and, from 4 on, the length of a frame.
fn is_torch_legacy(head: &[u8]) -> bool {
    if head.starts_with(b"L119547037146038801333356L\n.") {
        return true;
    }
    let number = match head {
        [0x80, 2..=3, number @ ..] | [0x80, 4..=5, 0x95, _, _, _, _, _, _, _, _, number @ ..] => number,
        _ => return false,
    };
    number.starts_with(b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.")
}

fn gzip_kind(head: &[u8]) -> Kind {
    const TAR_BLOCK_BYTES: usize = 512;
    let mut block = Vec::new();
    let unpacked = flate2::read::GzDecoder::new(head).take(TAR_BLOCK_BYTES as u64).read_to_end(&mut block);
    let tar = block.get(257..262) == Some(b"ustar") || (unpacked.is_ok() && has_tar_checksum(&block));
    if tar { Kind::TarGz } else { Kind::Gzip }
}

/// Tars from before ustar have no mark, but a checksum.
fn has_tar_checksum(block: &[u8]) -> bool {
    let Some(field) = block.get(148..156).filter(|_| block.len() == 512) else { return false };
    let digits = String::from_utf8_lossy(field);
    let claimed = u32::from_str_radix(digits.trim_matches(['\0', ' ']), 8);
    let sum = |(i, &byte): (usize, &u8)| if (148..156).contains(&i) { 32 } else { u32::from(byte) };
    claimed == Ok(block.iter().enumerate().map(sum).sum())
}

fn text_kind(path: &str, head: &[u8], whole: bool) -> Kind {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A prefix may end inside a character.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return Kind::Unknown,
    };
    let text = text.trim_start_matches('\u{feff}');
    if text.is_empty() || text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Kind::Unknown;
    }
    let start = text.trim_start();
    let tag = |tag: &str| start.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag));
    if ["<!doctype html", "<html", "<head", "<body"].into_iter().any(tag) {
        return Kind::WebPage;
    }
    if names::parse(path, text).is_some() { Kind::ClassNames } else { Kind::Text }
}

/// Walks the top level of a `ModelProto` without decoding it: known field numbers with their wire types, up to the end
/// of what is here, and a graph among them.
fn looks_like_onnx(head: &[u8], len: u64) -> bool {
    const VARINT: u64 = 0;
    const BYTES: u64 = 2;
    let mut position = 0u64;
    let mut graph = false;
    while position < len {
        let Some(rest) = usize::try_from(position).ok().and_then(|p| head.get(p..)).filter(|rest| !rest.is_empty())
        else {
            break;
        };
        let Some((key, key_bytes)) = varint(rest) else { break };
        let Some((value, value_bytes)) = rest.get(key_bytes..).and_then(varint) else { break };
        let next = position + (key_bytes + value_bytes) as u64;
        position = match (key >> 3, key & 7) {
            (1 | 5, VARINT) => next,
            (2..=4 | 6 | 8 | 14 | 20 | 25 | 26, BYTES) => next.saturating_add(value),
            (7, BYTES) => {
                graph = true;
                next.saturating_add(value)
            }
            _ => return false,
        };
    }
    graph
}

fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str, bytes: &[u8]) -> Kind {
        detect(path, bytes, bytes.len() as u64)
    }

    #[test]
    fn content_decides_not_the_extension() {
        assert_eq!(kind("model.onnx", b"\x89PNG\r\n\x1a\n...."), Kind::Png);
        assert_eq!(kind("a.png", b"\x93NUMPY\x01\x00"), Kind::Npy);
        assert_eq!(kind("a.onnx", b"<!DOCTYPE html><p>404"), Kind::WebPage);
        assert_eq!(kind("a.onnx", b"version https://git-lfs.github.com/spec/v1\n"), Kind::LfsPointer);
        assert_eq!(kind("a.onnx", b""), Kind::Empty);
        assert_eq!(kind("a.txt", b"\x80\x02}q\x00."), Kind::Pickle);
        assert_eq!(kind("weights", b"\x08\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}"), Kind::Safetensors);
    }

    #[test]
    fn old_pytorch_files_of_any_protocol() {
        let number = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
        for (start, framed) in [(2u8, false), (3, false), (4, true), (5, true)] {
            let frame: &[u8] = if framed { b"\x95\x0d\0\0\0\0\0\0\0" } else { b"" };
            let file = [&[0x80, start], frame, number, b"\x80\x02M\xe9\x03."].concat();
            assert_eq!(kind("weights", &file), Kind::TorchLegacy, "protocol {start}");
        }
        assert_eq!(kind("weights", b"L119547037146038801333356L\n.I1001\n."), Kind::TorchLegacy);
        assert_eq!(kind("a.txt", b"\x80\x04\x95\x0d\0\0\0\0\0\0\0}."), Kind::Pickle);
    }

    #[test]
    fn a_model_needs_a_graph() {
        // ir_version 8, producer "x", graph of 2 bytes, opset_import of 2 bytes
        let model = b"\x08\x08\x12\x01x\x3a\x02\x0a\x00\x42\x02\x10\x0d";
        assert_eq!(kind("no extension", model), Kind::Onnx);
        assert_eq!(kind("cut", &model[..8]), Kind::Onnx);
        assert_eq!(kind("weights.data", b"\x08\x08\x12\x01x"), Kind::Unknown);
        assert_eq!(kind("cut.onnx", b"\x08\x08\x12\x01x"), Kind::Onnx);
    }

    #[test]
    fn records_without_a_mark() {
        let batch = |label: u8| [vec![label], vec![200; 3072]].concat().repeat(3);
        assert_eq!(kind("anything", &batch(9)), Kind::CifarBinary);
        assert_eq!(kind("anything", &batch(10)), Kind::Unknown);
        assert_eq!(kind("anything.bin", &batch(10)), Kind::CifarBinary);
        assert_eq!(kind("cut.bin", &batch(3)[..7000]), Kind::CifarBinary);
        assert_eq!(kind("other.bin", &batch(30)[..7000]), Kind::Unknown);
    }
}
