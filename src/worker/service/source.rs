//! An open input: a data set, a picture, an array.

use super::{Answered, Failure, Service};
use crate::import::{Dataset, Image, ImportError, NamedArray, Pixels};
use crate::problem::Problem;
use crate::worker::protocol::{Picture, Reply, SourceId, SourceKind, SourceSummary};

/// What was opened.
pub enum Content {
    /// Samples.
    Dataset(Dataset),
    /// One picture.
    Image(Image),
    /// Values as they are: one input, or several along the first axis, as the model says.
    Array {
        /// With its name in the file.
        array: NamedArray,
        /// The file of arrays that it comes from ([`crate::import::Member::file`]).
        file: String,
    },
}

/// An open input with its number.
pub struct OpenSource {
    pub id: SourceId,
    pub name: String,
    pub content: Content,
}

impl OpenSource {
    /// Items, an array counted as one.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Dataset(set) => set.len(),
            Content::Image(_) | Content::Array { .. } => 1,
        }
    }

    /// Whether each item has a class.
    pub fn is_labelled(&self) -> bool {
        matches!(&self.content, Content::Dataset(set) if set.labels.is_some())
    }

    /// The file of arrays that it comes from.
    pub fn file(&self) -> Option<&str> {
        match &self.content {
            Content::Dataset(set) => set.member.as_ref().map(|member| member.file.as_str()),
            Content::Array { file, .. } => Some(file),
            Content::Image(_) => None,
        }
    }

    /// Its name in that file.
    pub fn array_name(&self) -> Option<&str> {
        match &self.content {
            Content::Dataset(set) => set.member.as_ref().map(|member| member.name.as_str()),
            Content::Array { array, .. } => Some(&array.name),
            Content::Image(_) => None,
        }
    }

    /// The name of the array that its labels are.
    pub fn labels_name(&self) -> Option<&str> {
        match &self.content {
            Content::Dataset(set) => set.member.as_ref()?.labels.as_deref(),
            _ => None,
        }
    }

    /// What the page is told. `items` is what it counts for the open models.
    pub fn summary(&self, items: usize) -> SourceSummary {
        let (kind, count, shape, class_names, labelled) = match &self.content {
            Content::Dataset(set) => {
                let shape = match set.image_size() {
                    Some(size) => format!("{} × {} × {} uint8", size.height, size.width, size.channels),
                    None if set.has_images() => "pictures of their own sizes".to_owned(),
                    None => match &set.pixels {
                        Pixels::Values { dtype, shape, .. } => format!("{} {dtype}", dims(shape)),
                        _ => "samples".to_owned(),
                    },
                };
                (SourceKind::Dataset, items, shape, set.class_names.clone(), set.labels.is_some())
            }
            Content::Image(image) => {
                let shape = format!("{} × {} × {} uint8", image.height, image.width, image.channels);
                (SourceKind::Image, 1, shape, None, false)
            }
            Content::Array { array, .. } => {
                let shape = format!("{} {}", dims(array.tensor.shape()), array.tensor.dtype());
                (SourceKind::Array, items, shape, None, false)
            }
        };
        let pictures = match &self.content {
            Content::Dataset(set) => set.has_images(),
            Content::Image(_) => true,
            Content::Array { .. } => false,
        };
        SourceSummary { id: self.id, name: self.name.clone(), kind, count, shape, pictures, class_names, labelled }
    }

    /// The item as a picture; `None` where it is not one.
    pub fn image(&self, index: usize) -> Option<Result<Image, ImportError>> {
        match &self.content {
            Content::Dataset(set) => set.has_images().then(|| set.image(index)),
            Content::Image(image) => Some(Ok(image.clone())),
            Content::Array { .. } => None,
        }
    }

    /// The item's class.
    pub fn label(&self, index: usize) -> Option<u32> {
        match &self.content {
            Content::Dataset(set) => set.label(index),
            _ => None,
        }
    }

    /// Names of the classes.
    pub fn class_names(&self) -> Option<&[String]> {
        match &self.content {
            Content::Dataset(set) => set.class_names.as_deref(),
            _ => None,
        }
    }
}

/// "500 × 16".
fn dims(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}

impl Service {
    /// The source with this number.
    pub(super) fn source(&self, id: SourceId) -> Result<&OpenSource, Failure> {
        let found = self.sources.iter().find(|source| source.id == id);
        found.ok_or_else(|| {
            Failure::from(Problem {
                file: "the input".to_owned(),
                place: format!("source {id}"),
                found: "it is closed".to_owned(),
                expected: "an open data set, image or array".to_owned(),
                advice: "Choose another input.".to_owned(),
            })
        })
    }

    /// The item as RGBA pixels.
    pub(super) fn thumbnail(&self, id: SourceId, index: usize) -> Answered {
        let source = self.source(id)?;
        let Some(image) = source.image(index) else { return Err(Failure::Cancelled) };
        let image = image.map_err(|error| error.into_problem(&source.name))?;
        let picture = Picture { width: image.width as u32, height: image.height as u32 };
        Ok((Reply::Picture(picture), Some(rgba(&image))))
    }
}

/// Grey is repeated over the three colours; whatever has two or more than three channels shows its first as grey.
fn rgba(image: &Image) -> Vec<u8> {
    let pixels = image.data.chunks_exact(image.channels.max(1));
    pixels
        .flat_map(|pixel| match pixel {
            [red, green, blue] => [*red, *green, *blue, 255],
            [grey, ..] => [*grey, *grey, *grey, 255],
            [] => [0, 0, 0, 255],
        })
        .collect()
}
