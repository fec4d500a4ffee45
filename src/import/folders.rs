//! Pictures to data sets: a folder per class, as torchvision's `ImageFolder` and Keras read it.

use super::source::{base_name, folder};
use super::{Dataset, Picture, Pixels};
use std::collections::BTreeMap;

/// A picture file with the archive (or nothing) and the folder it lies in.
#[derive(Debug)]
pub(super) struct LoosePicture {
    /// Name of the archive; empty for dropped files.
    pub scope: String,
    /// Path inside the archive or the drop.
    pub path: String,
    pub picture: Picture,
}

/// Pictures of one folder, or of several class folders side by side.
#[derive(Debug)]
pub(super) enum Group {
    Single(Box<LoosePicture>),
    Set(String, Box<Dataset>),
}

/// A folder's path and its pictures.
type Folder = (String, Vec<LoosePicture>);

/// Groups pictures. Folders next to each other are classes, labelled in the order of their names, or by `names_of`
/// (scope to class names) where that knows every folder. A folder alone is a set without labels, unless its name is
/// among the class names. A picture alone stays a picture.
pub(super) fn group(pictures: Vec<LoosePicture>, names_of: impl Fn(&str) -> Option<Vec<String>>) -> Vec<Group> {
    let mut folders: BTreeMap<(String, String), Vec<LoosePicture>> = BTreeMap::new();
    for loose in pictures {
        folders.entry((loose.scope.clone(), folder(&loose.path).to_owned())).or_default().push(loose);
    }
    // Sets: by scope and by the folder around the class folders; pictures outside of any folder stand alone.
    let mut sets: BTreeMap<(String, Option<String>), Vec<Folder>> = BTreeMap::new();
    for ((scope, path), mut members) in folders {
        members.sort_by(|a, b| a.path.cmp(&b.path));
        let around = (!path.is_empty()).then(|| folder(&path).to_owned());
        sets.entry((scope, around)).or_default().push((path, members));
    }
    let mut groups = Vec::new();
    for ((scope, around), classes) in sets {
        let known = names_of(&scope).filter(|names| classes.iter().all(|(path, _)| position(names, path).is_some()));
        match around {
            Some(around) if classes.len() > 1 || known.is_some() => {
                groups.push(labelled(scope, &around, classes, known));
            }
            _ => groups.extend(classes.into_iter().map(|(path, members)| unlabelled(scope.clone(), &path, members))),
        }
    }
    groups
}

fn position(names: &[String], path: &str) -> Option<usize> {
    names.iter().position(|name| name == base_name(path))
}

/// "folder (archive)", or the one of them there is.
fn set_name(scope: &str, path: &str) -> String {
    match (scope, base_name(path)) {
        ("", "") => "Pictures".to_owned(),
        ("", folder) => folder.to_owned(),
        (scope, "") => scope.to_owned(),
        (scope, folder) => format!("{folder} ({scope})"),
    }
}

fn source(scope: &str, path: &str) -> String {
    [scope, path].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn labelled(scope: String, around: &str, classes: Vec<Folder>, known: Option<Vec<String>>) -> Group {
    let names = known.unwrap_or_else(|| classes.iter().map(|(path, _)| base_name(path).to_owned()).collect());
    let (mut labels, mut sample_names, mut pictures) = (Vec::new(), Vec::new(), Vec::new());
    for (path, members) in classes {
        let label = position(&names, &path).and_then(|label| u32::try_from(label).ok()).unwrap_or(u32::MAX);
        for loose in members {
            labels.push(label);
            sample_names.push(loose.path);
            pictures.push(loose.picture);
        }
    }
    let set =
        Dataset::new(set_name(&scope, around), source(&scope, around), pictures.len(), Pixels::Pictures(pictures));
    let set = Dataset { labels: Some(labels), class_names: Some(names), sample_names: Some(sample_names), ..set };
    Group::Set(scope, Box::new(set))
}

fn unlabelled(scope: String, path: &str, mut members: Vec<LoosePicture>) -> Group {
    if members.len() == 1
        && let Some(only) = members.pop()
    {
        return Group::Single(Box::new(only));
    }
    let (sample_names, pictures): (Vec<_>, Vec<_>) = members.into_iter().map(|l| (l.path, l.picture)).unzip();
    let set = Dataset::new(set_name(&scope, path), source(&scope, path), pictures.len(), Pixels::Pictures(pictures));
    Group::Set(scope, Box::new(Dataset { sample_names: Some(sample_names), ..set }))
}
