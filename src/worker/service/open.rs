//! Opening files.

use super::model::OpenModel;
use super::source::{Content, OpenSource};
use super::{Answered, Attachment, Failure, Job, Service};
use crate::import::{self, Limits, Opened, SourceFile};
use crate::onnx::{Document, for_each_tensor};
use crate::problem::Problem;
use bytes::Bytes;

impl Service {
    /// Opens all files together. What cannot be opened becomes a problem; what can is there, and what was open stays.
    pub(super) async fn open(&mut self, paths: Vec<String>, attachments: Vec<Attachment>, job: &impl Job) -> Answered {
        let total = attachments.len();
        let mut problems = Vec::new();
        let (mut files, mut streamed) = (Vec::new(), Vec::new());
        for (done, (path, attachment)) in paths.into_iter().zip(attachments).enumerate() {
            if !job.checkpoint(&format!("Reading {path}"), done, total).await {
                return Err(Failure::Cancelled);
            }
            match attachment.streamed(&path) {
                Some(Ok(found)) => {
                    streamed.push((path, found));
                    continue;
                }
                Some(Err(error)) => {
                    problems.push(error.into_problem(&path));
                    continue;
                }
                None => {}
            }
            match attachment.read() {
                Ok(bytes) => files.push(SourceFile::new(path, bytes)),
                Err(reason) => problems.push(Problem {
                    file: path,
                    place: "the file".to_owned(),
                    found: reason,
                    expected: "a file that can be read".to_owned(),
                    advice: "If it was moved or changed since it was dropped, drop it again.".to_owned(),
                }),
            }
        }
        // External data of a model that is open already is taken as that, whatever it looks like.
        let waiting: Vec<String> = self
            .models
            .iter()
            .flat_map(|model| model.document.missing_external())
            .map(|(_, location)| base_name(&location).to_owned())
            .collect();
        let (late, files): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|file| waiting.iter().any(|name| name == base_name(&file.path)));
        self.side_files.extend(late);
        let (opened, refused) = import::open_beside(streamed, files, &Limits::default());
        problems.extend(refused);
        let (side_files, contents): (Vec<_>, Vec<_>) =
            opened.into_iter().partition(|opened| matches!(opened, Opened::ExternalData { .. }));
        for side_file in side_files {
            if let Opened::ExternalData { path, bytes } = side_file {
                self.side_files.push(SourceFile { path, bytes });
            }
        }
        let total = contents.len();
        for (done, content) in contents.into_iter().enumerate() {
            if !job.checkpoint("Opening", done, total).await {
                break;
            }
            if let Err(problem) = self.take(content) {
                problems.push(problem);
            }
        }
        self.complete_models();
        self.drop_unused_side_files(&mut problems);
        Ok(self.changed(problems))
    }

    fn take(&mut self, content: Opened) -> Result<(), Problem> {
        let id = self.fresh_id();
        match content {
            Opened::Model { name, bytes, original } => {
                let display = self.unused_name(&name);
                let model =
                    OpenModel::open(id, display, &name, bytes, &|location| side_file(&self.side_files, location));
                let model = model.map_err(|error| error.problem(&name))?;
                self.models.push(OpenModel { original, ..model });
            }
            Opened::Dataset(set) => {
                self.sources.push(OpenSource { id, name: set.name.clone(), content: Content::Dataset(*set) });
            }
            Opened::Image { name, image } => self.sources.push(OpenSource { id, name, content: Content::Image(image) }),
            Opened::Arrays { name, file, arrays } => {
                let many = arrays.len() > 1;
                for array in arrays {
                    let id = self.fresh_id();
                    let title = if many { format!("{} ({name})", array.name) } else { name.clone() };
                    let content = Content::Array { array, file: file.clone() };
                    self.sources.push(OpenSource { id, name: title, content });
                }
            }
            Opened::ClassNames { names, .. } => self.name_classes(&names),
            // Side files were taken before.
            Opened::ExternalData { .. } => {}
        }
        Ok(())
    }

    /// Class names that come alone belong to every labelled data set that they fit and that has none of its own.
    fn name_classes(&mut self, names: &[String]) {
        for source in &mut self.sources {
            if let Content::Dataset(set) = &mut source.content
                && (set.class_names.is_none() || set.class_names_assumed)
                && set.class_count().is_some_and(|count| count <= names.len())
            {
                set.class_names = Some(names.to_vec());
                set.class_names_assumed = false;
            }
        }
    }

    /// The file's name without folders and extension, numbered where it is taken.
    fn unused_name(&self, path: &str) -> String {
        let base = base_name(path);
        let stem = base.strip_suffix(".onnx").unwrap_or(base);
        let taken = |name: &str| self.models.iter().any(|model| model.summary.name == name);
        let numbered = (2..).map(|number| format!("{stem} ({number})"));
        std::iter::once(stem.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    /// A file that no open model refers to and that is nothing by itself is said, not kept.
    fn drop_unused_side_files(&mut self, problems: &mut Vec<Problem>) {
        let unused = self.take_unused_side_files();
        problems.extend(unused.into_iter().map(|file| Problem {
            file: file.path,
            place: "the file".to_owned(),
            found: format!("{} bytes of no known format, which no open model refers to", file.bytes.len()),
            expected: "a model, a data set, an image, an array, or the external data of an open model".to_owned(),
            advice: "If it belongs to a model, open the two together.".to_owned(),
        }));
    }

    /// Lets go of the side files that no open model refers to.
    pub(super) fn take_unused_side_files(&mut self) -> Vec<SourceFile> {
        let wanted = |file: &SourceFile| self.models.iter().any(|model| refers_to(&model.document, &file.path));
        let (kept, unused): (Vec<_>, Vec<_>) = std::mem::take(&mut self.side_files).into_iter().partition(wanted);
        self.side_files = kept;
        unused
    }

    /// Models that waited for a side file are opened again where it is there now.
    fn complete_models(&mut self) {
        for model in self.models.iter_mut().filter(|model| model.is_incomplete()) {
            let find = |location: &str| side_file(&self.side_files, location);
            let summary = &model.summary;
            let again = OpenModel::open(model.id, summary.name.clone(), &summary.file, model.source.clone(), &find);
            if let Ok(complete) = again {
                *model = complete;
            }
        }
    }
}

/// Whether a tensor of the model has its data in a file of this name.
fn refers_to(document: &Document, path: &str) -> bool {
    let mut found = false;
    for_each_tensor(document.proto(), &mut |tensor| {
        let location = tensor.external_data.iter().find(|entry| entry.key() == "location");
        found |= location.is_some_and(|location| base_name(location.value()) == base_name(path));
    });
    found
}

/// The part of a path after its last slash.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The side file at a location that a model names, by its path or by its last part.
fn side_file(files: &[SourceFile], location: &str) -> Option<Bytes> {
    let exact = files.iter().rev().find(|file| file.path == location);
    exact
        .or_else(|| files.iter().rev().find(|file| base_name(&file.path) == base_name(location)))
        .map(|file| file.bytes.clone())
}
