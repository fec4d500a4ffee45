//! A set of images or other samples, with labels where they are known.

use super::{Image, ImportError, Picture, Store};
use crate::tensor::{DType, Tensor};
use bytes::Bytes;

/// Where the samples of a [`Dataset`] lie. Files are kept as they are and converted on access.
#[derive(Clone, Debug)]
pub enum Pixels {
    /// 8-bit, `(count, height, width, channels)` in one buffer.
    Interleaved {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
        /// All images.
        bytes: Store,
    },
    /// 8-bit, a plane per channel; image `i` starts at `i * stride_bytes + offset_bytes` (CIFAR records, NCHW arrays).
    Planar {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
        /// From one image to the next.
        stride_bytes: usize,
        /// From the start of a record to its first pixel.
        offset_bytes: usize,
        /// All records.
        bytes: Store,
    },
    /// Picture files, each of its own size.
    Pictures(Vec<Picture>),
    /// Samples of any shape that are no images, taken as they are: `(count, shape..)`, little-endian.
    Values {
        /// Type of the elements: of 8 bits or more.
        dtype: DType,
        /// Dims of one sample.
        shape: Vec<usize>,
        /// All samples.
        bytes: Store,
    },
}

/// Where in a file of arrays a data set comes from: other arrays of that file may feed other inputs of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The file; empty where each array is a file of its own.
    pub file: String,
    /// The samples' name there.
    pub name: String,
    /// The labels' name there, where it has some.
    pub labels: Option<String>,
}

/// Samples with labels and names. Every per-sample list is as long as the set (checked by [`Dataset::check`]).
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What the user reads: "test_batch.bin (cifar-10-binary.tar.gz)".
    pub name: String,
    /// Where it came from: the file, and the path inside the archive.
    pub source: String,
    /// Number of samples.
    pub count: usize,
    /// The samples.
    pub pixels: Pixels,
    /// The class of every sample.
    pub labels: Option<Vec<u32>>,
    /// The name of every class.
    pub class_names: Option<Vec<String>>,
    /// The names are not from a file but from the format's definition (CIFAR-10's ten classes).
    pub class_names_assumed: bool,
    /// The name of every sample.
    pub sample_names: Option<Vec<String>>,
    /// Where it comes from, where that is a file of arrays.
    pub member: Option<Member>,
}

/// Rows, columns and channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels.
    pub channels: usize,
}

impl Dataset {
    /// A set without labels and names.
    pub fn new(name: impl Into<String>, source: impl Into<String>, count: usize, pixels: Pixels) -> Self {
        Dataset {
            name: name.into(),
            source: source.into(),
            count,
            pixels,
            labels: None,
            class_names: None,
            class_names_assumed: false,
            sample_names: None,
            member: None,
        }
    }

    /// Checks that pixels, labels and names all belong to `count` samples.
    pub fn check(self) -> Result<Self, ImportError> {
        let samples = match &self.pixels {
            Pixels::Pictures(pictures) => pictures.len(),
            Pixels::Planar { height, width, channels, stride_bytes, offset_bytes, bytes } => {
                let record = area(&[*height, *width, *channels]).and_then(|size| size.checked_add(*offset_bytes));
                match record {
                    Some(record) if record <= *stride_bytes && *stride_bytes > 0 => {
                        usize::try_from(bytes.len() / *stride_bytes as u64).unwrap_or(usize::MAX)
                    }
                    _ => 0,
                }
            }
            Pixels::Interleaved { height, width, channels, bytes } => {
                let count = area(&[*height, *width, *channels]).and_then(|size| bytes.len().checked_div(size as u64));
                count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
            }
            Pixels::Values { dtype, shape, bytes } => {
                let size = area(shape).and_then(|size| dtype.bytes_for(size)).filter(|_| dtype.bits() >= Some(8));
                let count = size.and_then(|size| bytes.len().checked_div(size as u64));
                count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
            }
        };
        let lists = [
            ("images", Some(samples)),
            ("labels", self.labels.as_ref().map(Vec::len)),
            ("names", self.sample_names.as_ref().map(Vec::len)),
        ];
        for (what, found) in lists {
            if let Some(found) = found.filter(|&found| found != self.count) {
                return Err(ImportError::format(
                    self.source.clone(),
                    format!("{found} {what} for {} samples", self.count),
                    format!("as many {what} as samples"),
                    "Export images and labels together again.",
                ));
            }
        }
        Ok(self)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The size that all images share; `None` for picture files and for samples that are no images.
    pub fn image_size(&self) -> Option<ImageSize> {
        match self.pixels {
            Pixels::Interleaved { height, width, channels, .. } | Pixels::Planar { height, width, channels, .. } => {
                Some(ImageSize { height, width, channels })
            }
            _ => None,
        }
    }

    /// Whether samples are 8-bit images, which [`Dataset::image`] gives.
    pub fn has_images(&self) -> bool {
        !matches!(self.pixels, Pixels::Values { .. })
    }

    /// The class of a sample.
    pub fn label(&self, index: usize) -> Option<u32> {
        self.labels.as_ref()?.get(index).copied()
    }

    /// The name of the class of a sample.
    pub fn label_name(&self, index: usize) -> Option<&str> {
        self.class_names.as_ref()?.get(self.label(index)? as usize).map(String::as_str)
    }

    /// Number of classes: of the names, or one more than the largest label.
    pub fn class_count(&self) -> Option<usize> {
        let named = self.class_names.as_ref().map(Vec::len);
        named.or_else(|| self.labels.as_ref()?.iter().max().map(|&label| label as usize + 1))
    }

    /// Samples per class; empty without labels. Labels beyond the named classes are not counted.
    pub fn samples_per_class(&self) -> Vec<usize> {
        let (Some(labels), Some(classes)) = (&self.labels, self.class_count()) else { return Vec::new() };
        // A hostile label near 2^32 must not reserve gigabytes.
        let mut counts = vec![0; classes.min(1 << 20)];
        for &label in labels {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// One image as interleaved 8-bit pixels; fails beyond the end, for samples that are no images and for broken pictures.
    pub fn image(&self, index: usize) -> Result<Image, ImportError> {
        match &self.pixels {
            Pixels::Interleaved { height, width, channels, bytes } => {
                let size = area(&[*height, *width, *channels]).unwrap_or(usize::MAX);
                let data = self.record(bytes, index, size, 0, size)?.to_vec();
                Ok(Image { height: *height, width: *width, channels: *channels, data })
            }
            Pixels::Planar { height, width, channels, stride_bytes, offset_bytes, bytes } => {
                let size = area(&[*height, *width, *channels]).unwrap_or(usize::MAX);
                let planes = self.record(bytes, index, *stride_bytes, *offset_bytes, size)?;
                let data = interleave(&planes, *channels);
                Ok(Image { height: *height, width: *width, channels: *channels, data })
            }
            Pixels::Pictures(pictures) => pictures.get(index).ok_or_else(|| self.no_sample(index))?.decode(),
            Pixels::Values { dtype, .. } => Err(ImportError::unsupported(
                self.source.clone(),
                format!("{dtype} samples"),
                "8-bit images",
                "Feed them to the model as they are.",
            )),
        }
    }

    /// One sample as a tensor without batch dim: values as in the file, images as uint8 `(height, width, channels)`.
    pub fn tensor(&self, index: usize) -> Result<Tensor, ImportError> {
        if let Pixels::Values { dtype, shape, bytes } = &self.pixels {
            let size = area(shape).and_then(|size| dtype.bytes_for(size)).unwrap_or(usize::MAX);
            let sample = self.record(bytes, index, size, 0, size)?;
            return Tensor::new(*dtype, shape.clone(), sample).map_err(|_| self.no_sample(index));
        }
        let Image { height, width, channels, data } = self.image(index)?;
        Tensor::new(DType::Uint8, vec![height, width, channels], data.into()).map_err(|_| self.no_sample(index))
    }

    fn record(
        &self,
        store: &Store,
        index: usize,
        stride: usize,
        offset: usize,
        size: usize,
    ) -> Result<Bytes, ImportError> {
        let read = store.record(index, stride, offset, size).map_err(|reason| {
            let expected = "a file that can still be read";
            ImportError::format(format!("sample {index}"), reason, expected, "Open the file again.")
        })?;
        read.ok_or_else(|| self.no_sample(index))
    }

    fn no_sample(&self, index: usize) -> ImportError {
        ImportError::format(
            self.source.clone(),
            format!("no sample {index}"),
            format!("an index below {}", self.count),
            "Choose another sample.",
        )
    }
}

fn area(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |size, &dim| size.checked_mul(dim))
}

/// Planes to pixels: CHW to HWC.
fn interleave(planes: &[u8], channels: usize) -> Vec<u8> {
    let plane_bytes = planes.len() / channels.max(1);
    let mut pixels = vec![0; planes.len()];
    for (channel, plane) in planes.chunks_exact(plane_bytes.max(1)).enumerate() {
        for (pixel, &value) in pixels.chunks_exact_mut(channels.max(1)).zip(plane) {
            if let Some(slot) = pixel.get_mut(channel) {
                *slot = value;
            }
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planar() -> Dataset {
        let bytes = Bytes::from_static(&[7, 1, 2, 3, 4, 5, 6, 9, 10, 20, 30, 40, 50, 60]);
        let pixels =
            Pixels::Planar { height: 1, width: 2, channels: 3, stride_bytes: 7, offset_bytes: 1, bytes: bytes.into() };
        Dataset { labels: Some(vec![7, 9]), ..Dataset::new("n", "s", 2, pixels) }
    }

    #[test]
    fn planes_become_pixels() {
        let set = planar().check().unwrap();
        assert_eq!(set.image(0).unwrap().data, [1, 3, 5, 2, 4, 6]);
        assert_eq!(set.image(1).unwrap().data, [10, 30, 50, 20, 40, 60]);
        assert_eq!(set.tensor(1).unwrap().shape(), [1, 2, 3]);
        assert!(set.image(2).is_err() && set.image(usize::MAX).is_err());
        assert_eq!((set.label(1), set.class_count()), (Some(9), Some(10)));
        assert_eq!(set.samples_per_class(), [0, 0, 0, 0, 0, 0, 0, 1, 0, 1]);
    }

    #[test]
    fn lists_must_be_as_long_as_the_set() {
        let short = Dataset { labels: Some(vec![1]), ..planar() };
        assert!(short.check().unwrap_err().to_string().contains("1 labels for 2 samples"));
        assert!(Dataset { count: 3, labels: None, ..planar() }.check().is_err());
    }

    #[test]
    fn samples_that_are_no_images_keep_shape_and_type() {
        let bytes = Bytes::from(bytemuck::cast_slice(&[1f32, 2.0, 3.0, 4.0]).to_vec()).into();
        let values = |dtype, shape, bytes| Dataset::new("n", "s", 2, Pixels::Values { dtype, shape, bytes }).check();
        let set = values(DType::Float32, vec![2, 1], bytes).unwrap();
        assert_eq!(set.tensor(1).unwrap().to_f32().unwrap(), [3.0, 4.0]);
        assert!(set.tensor(2).is_err() && set.image(0).is_err());
        let bytes = Bytes::from(bytemuck::cast_slice(&[1i64 << 40, -2]).to_vec());
        let set = values(DType::Int64, vec![1], bytes.clone().into()).unwrap();
        assert_eq!(set.tensor(0).unwrap().to_i64().unwrap(), [1 << 40]);
        assert!(values(DType::Int4, vec![1], bytes.into()).is_err());
    }
}
