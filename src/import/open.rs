//! Opening everything that was dropped at once.

use super::convert::convert_within;
use super::folders::{self, Group, LoosePicture};
use super::limits::Budget;
use super::source::{base_name, clean_path, extension, is_litter, stem};
use super::{
    ConvertOptions, Converted, Dataset, Image, ImportError, Kind, Limits, NamedArray, Original, Picture, SourceFile,
    StoredArray, Streamed, archive, arrays, cifar, cifar_python, detect, names, npy,
};
use crate::problem::Problem;
use bytes::Bytes;
use std::collections::HashSet;

/// One thing found in a drop.
#[derive(Clone, Debug)]
pub enum Opened {
    /// An ONNX model, not decoded yet; or what a model of another format became, with notes in its metadata.
    Model {
        /// Its file name, with the archive's where it came in one.
        name: String,
        /// The file.
        bytes: Bytes,
        /// What it was converted from, where it was.
        original: Option<Original>,
    },
    /// Images or other samples.
    Dataset(Box<Dataset>),
    /// Arrays that are no data set: model inputs, activations.
    Arrays {
        /// The file's name.
        name: String,
        /// The file that they share ([`super::Member::file`]).
        file: String,
        /// In the file's order.
        arrays: Vec<NamedArray>,
    },
    /// One picture.
    Image {
        /// The file's name.
        name: String,
        /// Its pixels.
        image: Image,
    },
    /// Names of classes, in label order. They are already given to the data sets of the same drop.
    ClassNames {
        /// The file's name.
        name: String,
        /// A name per class.
        names: Vec<String>,
    },
    /// Raw tensor data that a model refers to by location.
    ExternalData {
        /// Its path in the drop.
        path: String,
        /// The file.
        bytes: Bytes,
    },
}

/// Opens files that were dropped together. What can be used comes first to last as models, data sets, arrays, images,
/// class names, external data; what cannot is a problem each. Class names go to the data sets of their own archive, or
/// of the whole drop where they lie beside it. A file that a model in the drop names as its external data is taken as
/// that, whatever it looks like.
pub fn open(files: Vec<SourceFile>, limits: &Limits) -> (Vec<Opened>, Vec<Problem>) {
    open_beside(Vec::new(), files, limits)
}

/// [`open`] with what stays in its large files: paths, and what [`super::open_streamed`] has found there. Arrays find
/// their labels among the files of the same drop.
pub fn open_beside(
    streamed: Vec<(String, Streamed)>,
    files: Vec<SourceFile>,
    limits: &Limits,
) -> (Vec<Opened>, Vec<Problem>) {
    let mut drop = Drop::new(limits);
    for (path, found) in streamed {
        drop.streamed(clean_path(&path), found);
    }
    let files = files.into_iter().map(|file| SourceFile { path: clean_path(&file.path), ..file });
    let files = files.filter(|file| !is_litter(&file.path));
    let files: Vec<_> = files.map(|file| (detect(&file.path, &file.bytes, file.bytes.len() as u64), file)).collect();
    drop.note_external(&files);
    for (kind, file) in files {
        drop.file("", kind, file, 0);
    }
    drop.finish()
}

/// Extensions that external tensor data go by.
const EXTERNAL_EXTENSIONS: [&str; 6] = ["data", "onnx_data", "bin", "weight", "weights", "raw"];

/// What one drop has given so far. `scope` is the name of the archive a file lies in, empty for dropped files.
struct Drop<'a> {
    budget: Budget<'a>,
    checked_pixels: u64,
    external: HashSet<String>,
    models: Vec<Opened>,
    sets: Vec<(String, Dataset)>,
    arrays: Vec<Opened>,
    loose_arrays: Vec<(String, String, StoredArray)>,
    pictures: Vec<LoosePicture>,
    names: Vec<(String, String, Vec<String>)>,
    data: Vec<Opened>,
    problems: Vec<Problem>,
}

/// "member (archive)", or the bare file name.
fn label(scope: &str, path: &str) -> String {
    if scope.is_empty() { base_name(path).to_owned() } else { format!("{} ({scope})", base_name(path)) }
}

/// The file's own name out of a label, "member (archive)" or the bare name: "model (1).h5" has no archive behind it, and
/// an archive has a dot in its name, which the number of a copy has not.
pub fn member_name(label: &str) -> &str {
    if !label.ends_with(')') {
        return label;
    }
    let mut depth = 0usize;
    for (at, c) in label.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            let is_archive = label.get(at..).is_some_and(|scope| scope.contains('.'));
            return label.get(..at).and_then(|name| name.strip_suffix(' ')).filter(|_| is_archive).unwrap_or(label);
        }
    }
    label
}

fn source_of(scope: &str, path: &str) -> String {
    if scope.is_empty() { path.to_owned() } else { format!("{scope}/{path}") }
}

impl<'a> Drop<'a> {
    fn new(limits: &'a Limits) -> Self {
        Drop {
            budget: Budget::new(limits),
            checked_pixels: 0,
            external: HashSet::new(),
            models: Vec::new(),
            sets: Vec::new(),
            arrays: Vec::new(),
            loose_arrays: Vec::new(),
            pictures: Vec::new(),
            names: Vec::new(),
            data: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Remembers what the models among these files refer to.
    fn note_external(&mut self, files: &[(Kind, SourceFile)]) {
        // Nothing else is here that it could mean; a large model is not searched for nothing.
        if files.len() < 2 {
            return;
        }
        let models = files.iter().filter(|(kind, _)| *kind == Kind::Onnx);
        self.external.extend(models.flat_map(|(_, file)| external_locations(&file.bytes)));
    }

    fn problem(&mut self, scope: &str, path: &str, error: ImportError) {
        let file = if scope.is_empty() { path.to_owned() } else { format!("{path} ({scope})") };
        self.problems.push(error.into_problem(&file));
    }

    /// How many things were found; tells whether an archive gave anything.
    fn found(&self) -> usize {
        let lists =
            [self.models.len(), self.sets.len(), self.arrays.len(), self.loose_arrays.len(), self.pictures.len()];
        lists.into_iter().sum::<usize>() + self.names.len() + self.data.len() + self.problems.len()
    }

    fn file(&mut self, scope: &str, kind: Kind, file: SourceFile, depth: usize) {
        if kind != Kind::Onnx && self.external.contains(base_name(&file.path)) {
            self.data.push(Opened::ExternalData { path: file.path, bytes: file.bytes });
            return;
        }
        let path = file.path.clone();
        if let Err(error) = self.read(scope, kind, file, depth) {
            self.problem(scope, &path, error);
        }
    }

    fn read(&mut self, scope: &str, kind: Kind, file: SourceFile, depth: usize) -> Result<(), ImportError> {
        let SourceFile { path, bytes } = file;
        let (name, source) = (label(scope, &path), source_of(scope, &path));
        match kind {
            Kind::Onnx => self.models.push(Opened::Model { name, bytes, original: None }),
            Kind::CifarBinary => self.sets.push((scope.to_owned(), cifar::read(&name, &source, bytes)?)),
            Kind::Pickle => match cifar_python::read(&name, &source, &bytes, self.budget.limits)? {
                cifar_python::Batch::Images(set) => self.sets.push((scope.to_owned(), *set)),
                cifar_python::Batch::ClassNames(names) => self.names.push((scope.to_owned(), name, names)),
                cifar_python::Batch::Array(tensor) => self.loose_array(scope, &path, tensor),
            },
            Kind::Npy => self.loose_array(scope, &path, npy::read(&bytes)?),
            Kind::Npz => self.npz(scope, &path, &bytes)?,
            Kind::Png | Kind::Jpeg | Kind::Webp | Kind::Bmp => self.picture(scope, path, kind, bytes)?,
            Kind::ClassNames => {
                let text = String::from_utf8_lossy(&bytes);
                let names = names::parse(&path, text.trim_start_matches('\u{feff}'));
                self.names.extend(names.map(|names| (scope.to_owned(), name, names)));
            }
            Kind::TarGz | Kind::Tar | Kind::Zip | Kind::Gzip => self.archive(scope, kind, &path, &bytes, depth)?,
            Kind::Hdf5 | Kind::KerasZip | Kind::Tflite | Kind::TorchZip | Kind::TorchLegacy | Kind::Safetensors => {
                let options = ConvertOptions::default();
                let conversion = convert_within(kind, &bytes, &name, &options, &mut self.budget)?;
                let Converted { document, layer_of, .. } = conversion.converted;
                let original = Some(Original { kind, bytes, options, layer_of });
                let bytes = document.encode().into();
                self.models.push(Opened::Model { name, bytes, original });
            }
            Kind::Empty | Kind::LfsPointer | Kind::WebPage | Kind::Text | Kind::Unknown => {
                return self.not_ours(scope, kind, path, bytes);
            }
        }
        Ok(())
    }

    fn streamed(&mut self, path: String, found: Streamed) {
        match found {
            Streamed::Set(set) => self.sets.push((String::new(), *set)),
            Streamed::Array(array) => self.loose_arrays.push((String::new(), path, array)),
            Streamed::Members { arrays, errors } => {
                for error in errors {
                    self.problem("", &path, error);
                }
                if let Err(error) = self.members("", &path, arrays) {
                    self.problem("", &path, error);
                }
            }
        }
    }

    fn loose_array(&mut self, scope: &str, path: &str, tensor: crate::tensor::Tensor) {
        let array = NamedArray { name: stem(path).to_owned(), tensor };
        self.loose_arrays.push((scope.to_owned(), path.to_owned(), array.into()));
    }

    fn npz(&mut self, scope: &str, path: &str, bytes: &Bytes) -> Result<(), ImportError> {
        let members = archive::unzip(bytes, &mut self.budget);
        let inside = label(scope, path);
        let mut found = Vec::new();
        for error in members.errors {
            self.problem(scope, path, error);
        }
        for member in members.files {
            match npy::read(&member.bytes) {
                Ok(tensor) => {
                    let name = member.path.strip_suffix(".npy").unwrap_or(&member.path).to_owned();
                    found.push(NamedArray { name, tensor }.into());
                }
                Err(error) => self.problem(&inside, &member.path, error),
            }
        }
        self.members(scope, path, found)
    }

    /// The arrays of an .npz file.
    fn members(&mut self, scope: &str, path: &str, found: Vec<StoredArray>) -> Result<(), ImportError> {
        let inside = label(scope, path);
        let lone = found.len() == 1;
        let (sets, rest) = arrays::assign(found, &inside, lone)?;
        self.sets.extend(sets.into_iter().map(|set| (scope.to_owned(), set)));
        if !rest.is_empty() {
            self.arrays.push(Opened::Arrays { name: inside.clone(), file: inside, arrays: rest });
        }
        Ok(())
    }

    fn picture(&mut self, scope: &str, path: String, kind: Kind, bytes: Bytes) -> Result<(), ImportError> {
        let picture = Picture::open(kind, bytes, self.budget.limits)?;
        // Broken pictures are better found now than in the middle of a run, as far as time allows.
        let pixels = picture.height as u64 * picture.width as u64;
        if self.checked_pixels.saturating_add(pixels) <= self.budget.limits.checked_pixels {
            self.checked_pixels += pixels;
            picture.decode()?;
        }
        self.pictures.push(LoosePicture { scope: scope.to_owned(), path, picture });
        Ok(())
    }

    fn archive(&mut self, scope: &str, kind: Kind, path: &str, bytes: &Bytes, depth: usize) -> Result<(), ImportError> {
        if depth >= self.budget.limits.nesting {
            let (found, limit) = (depth as u64 + 1, self.budget.limits.nesting as u64);
            let (place, what) = ("archive".into(), "archives inside each other".into());
            return Err(ImportError::LimitExceeded { place, what, found, limit });
        }
        let members = match kind {
            Kind::TarGz => archive::untar_gz(bytes, &mut self.budget),
            Kind::Tar => archive::untar(bytes, &mut self.budget),
            Kind::Zip => archive::unzip(bytes, &mut self.budget),
            _ => {
                let content = archive::gunzip(bytes, &mut self.budget)?;
                let inner = path.strip_suffix(".gz").unwrap_or(path);
                let kind = detect(inner, &content, content.len() as u64);
                return self.read(scope, kind, SourceFile::new(inner, content), depth + 1);
            }
        };
        let inside = label(scope, path);
        let before = self.found();
        for error in members.errors {
            self.problem(scope, path, error);
        }
        let files = members.files.into_iter();
        let files: Vec<_> =
            files.map(|file| (detect(&file.path, &file.bytes, file.bytes.len() as u64), file)).collect();
        self.note_external(&files);
        let names: Vec<String> = files.iter().take(5).map(|(_, file)| file.path.clone()).collect();
        for (kind, file) in files {
            self.file(&inside, kind, file, depth + 1);
        }
        if self.found() == before {
            let found = if names.is_empty() { "no file".to_owned() } else { format!("only {}", names.join(", ")) };
            let expected = "images, arrays, a CIFAR batch or an ONNX model";
            return Err(ImportError::format("archive", found, expected, "Open an archive that holds one of them."));
        }
        Ok(())
    }

    /// Files that nobody reads: a readme beside the data is passed over, a file that was dropped by itself is said.
    fn not_ours(&mut self, scope: &str, kind: Kind, path: String, bytes: Bytes) -> Result<(), ImportError> {
        let alone = scope.is_empty() && !path.contains('/');
        if kind == Kind::Unknown && EXTERNAL_EXTENSIONS.contains(&extension(&path).as_str()) {
            self.data.push(Opened::ExternalData { path, bytes });
            return Ok(());
        }
        // An image or a model whose bytes are not what its name says was meant to be opened, wherever it lies.
        let meant = matches!(
            extension(&path).as_str(),
            "png" | "jpg" | "jpeg" | "webp" | "bmp" | "onnx" | "npy" | "npz" | "bin" | "h5" | "keras" | "pt" | "tflite"
        );
        if !alone && !meant {
            return Ok(());
        }
        let advice = match kind {
            Kind::LfsPointer => "Fetch the real file with `git lfs pull`, then open it again.",
            Kind::WebPage => "The download went wrong: use the link to the raw file.",
            Kind::Empty => "The download or copy went wrong: get the file again.",
            _ => "Check that this is the file you meant.",
        };
        let expected = "an ONNX model, images, arrays or a CIFAR batch";
        Err(ImportError::format("start of the file", kind.name(), expected, advice))
    }

    fn finish(mut self) -> (Vec<Opened>, Vec<Problem>) {
        self.assign_loose_arrays();
        let names = std::mem::take(&mut self.names);
        let names_of = |scope: &str| {
            let own = names.iter().find(|(owner, ..)| owner == scope);
            own.or_else(|| names.iter().find(|(owner, ..)| owner.is_empty())).map(|(.., names)| names.clone())
        };
        let mut images = Vec::new();
        for group in folders::group(std::mem::take(&mut self.pictures), names_of) {
            match group {
                Group::Set(scope, set) => self.sets.push((scope, *set)),
                Group::Single(loose) => match loose.picture.decode() {
                    Ok(image) => images.push(Opened::Image { name: label(&loose.scope, &loose.path), image }),
                    Err(error) => self.problem(&loose.scope, &loose.path, error),
                },
            }
        }
        for (scope, set) in &mut self.sets {
            let largest = set.labels.iter().flatten().copied().max();
            let fitting = names_of(scope).filter(|names| largest.is_some_and(|label| (label as usize) < names.len()));
            if let Some(names) = fitting.filter(|_| set.class_names.is_none() || set.class_names_assumed) {
                set.class_names = Some(names);
                set.class_names_assumed = false;
            }
        }
        let mut opened = self.models;
        opened.extend(self.sets.into_iter().map(|(_, set)| Opened::Dataset(Box::new(set))));
        opened.extend(self.arrays);
        opened.extend(images);
        opened.extend(names.into_iter().map(|(_, name, names)| Opened::ClassNames { name, names }));
        opened.extend(self.data);
        (opened, self.problems)
    }

    /// Arrays that were dropped as files of their own: images.npy and labels.npy find each other as in an .npz.
    fn assign_loose_arrays(&mut self) {
        let mut scopes: Vec<(String, Vec<(String, StoredArray)>)> = Vec::new();
        for (scope, path, array) in std::mem::take(&mut self.loose_arrays) {
            match scopes.iter_mut().find(|(known, _)| *known == scope) {
                Some((_, members)) => members.push((path, array)),
                None => scopes.push((scope, vec![(path, array)])),
            }
        }
        for (scope, members) in scopes {
            let source = match (scope.as_str(), members.as_slice()) {
                ("", [(path, _)]) => path.clone(),
                ("", _) => String::new(),
                _ => scope.clone(),
            };
            let first = members.first().map_or(String::new(), |(path, _)| path.clone());
            match arrays::assign(members.into_iter().map(|(_, array)| array).collect(), &source, true) {
                Ok((mut sets, rest)) => {
                    // Whether they came alone or together: what shares a place are the parts of one input.
                    sets.iter_mut().filter_map(|set| set.member.as_mut()).for_each(|own| own.file.clone_from(&scope));
                    self.sets.extend(sets.into_iter().map(|set| (scope.clone(), set)));
                    let named = rest.into_iter().map(|array| {
                        let name = label(&scope, &format!("{}.npy", array.name));
                        Opened::Arrays { name, file: scope.clone(), arrays: vec![array] }
                    });
                    self.arrays.extend(named);
                }
                Err(error) => self.problem(&scope, &first, error),
            }
        }
    }
}

/// The base names in a model's `external_data` locations. Found by their bytes, a `StringStringEntryProto` with the key
/// "location", so that a drop is sorted before any model is decoded.
fn external_locations(model: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\x0a\x08location\x12";
    let mut found = Vec::new();
    let mut rest = model;
    while let Some(at) = rest.windows(KEY.len()).position(|window| window == KEY) {
        rest = rest.get(at + KEY.len()..).unwrap_or_default();
        // A path is shorter than 16384 bytes: one or two length bytes.
        let (length, start) = match rest {
            [low, high, ..] if low & 0x80 != 0 => (usize::from(low & 0x7f) | usize::from(*high) << 7, 2),
            [low, ..] => (usize::from(*low), 1),
            [] => break,
        };
        if let Some(Ok(location)) = rest.get(start..start + length).map(std::str::from_utf8) {
            let base = base_name(&clean_path(location)).to_owned();
            if !base.is_empty() && !found.contains(&base) {
                found.push(base);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_taken_off_a_label_and_copies_keep_their_number() {
        for name in ["model.h5", "model (1).h5", "model (1)", "a b (2) (3).keras", ")", "(.)"] {
            assert_eq!(member_name(name), name);
            for archive in ["all.zip", "all (1).zip", "outer (x).zip (inner.tar)"] {
                assert_eq!(member_name(&label(archive, name)), name);
            }
        }
    }

    #[test]
    fn locations_are_found_by_their_bytes() {
        let model = b"\x08\x08..\x0a\x08location\x12\x09w/big.bin..\x0a\x08location\x12\x09w/big.bin";
        assert_eq!(external_locations(model), ["big.bin"]);
        assert!(external_locations(b"\x0a\x08location\x12").is_empty());
        assert!(external_locations(b"\x0a\x08location\x12\xff\x01abc").is_empty());
    }

    #[test]
    fn a_file_that_a_model_names_is_external_data() {
        // ir_version, a graph that names weights.bin, opset
        let graph = b"\x0a\x08location\x12\x0bweights.bin";
        let model = [b"\x08\x08\x3a".as_slice(), &[graph.len() as u8], graph, b"\x42\x02\x10\x0d"].concat();
        let batch = vec![1u8; 3073];
        let files = vec![SourceFile::new("dir/weights.bin", batch.clone()), SourceFile::new("dir/m.onnx", model)];
        let (opened, problems) = open(files, &Limits::default());
        assert!(problems.is_empty(), "{problems:?}");
        assert!(matches!(&opened[..], [Opened::Model { name, .. }, Opened::ExternalData { path, .. }]
            if name == "m.onnx" && path == "dir/weights.bin"));
        let (opened, _) = open(vec![SourceFile::new("weights.bin", batch)], &Limits::default());
        assert!(matches!(&opened[..], [Opened::Dataset(_)]));
    }

    #[test]
    fn bad_files_do_not_take_good_ones_with_them() {
        let files = vec![
            SourceFile::new("notes.md", "text"),
            SourceFile::new("classes.txt", "cat\ndog\n"),
            SourceFile::new("a.bin", vec![1u8; 3073]),
            SourceFile::new("folder/readme.md", "text"),
        ];
        let (opened, problems) = open(files, &Limits::default());
        assert_eq!(problems.iter().map(|problem| problem.file.as_str()).collect::<Vec<_>>(), ["notes.md"]);
        let Opened::Dataset(set) = &opened[0] else { panic!("{opened:?}") };
        assert_eq!(set.class_names.as_deref(), Some(["cat".to_owned(), "dog".to_owned()].as_slice()));
        assert!(matches!(&opened[1], Opened::ClassNames { .. }));
    }
}
