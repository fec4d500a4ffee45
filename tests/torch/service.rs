//! What the page is told of dropped PyTorch and safetensors files.

use crate::support::{bytes, fixtures, reference};
use futures::executor::block_on;
use quantscope::worker::service::{Attachment, Job, Service};
use quantscope::worker::{Reply, Request, Workspace};
use std::path::{Path, PathBuf};

/// A job that nobody cancels.
struct Calm;

impl Job for Calm {
    fn now_ms(&self) -> f64 {
        0.0
    }
    async fn checkpoint(&self, _job: &str, _done: usize, _total: usize) -> bool {
        true
    }
}

fn open(files: &[PathBuf]) -> Workspace {
    let mut service = Service::default();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let paths = files.iter().map(|path| name(path)).collect();
    let attachments = files.iter().map(|path| bytes(path).to_vec());
    let attachments = attachments.map(|content| Attachment::new(move || Ok(content))).collect();
    match block_on(service.answer(Request::Open { paths }, attachments, &Calm)).0 {
        Reply::Workspace(workspace) => workspace,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_state_dict_is_in_the_tree() {
    let workspace = open(&[fixtures().join("tensors.pt"), fixtures().join("net_script.pt")]);
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    assert_eq!(workspace.models.len(), 2);
    let row = workspace.layers.iter().find(|row| row.name == "per_channel").unwrap();
    assert!(row.quantized && row.parameters[0].quantized, "{row:?}");
    assert_eq!(row.parameters[0].shape, [4, 6]);
    assert!(row.outputs.iter().all(Option::is_none));
    assert!(workspace.layers.iter().any(|row| row.op == "Conv"));
    let metadata = &workspace.models[1].metadata;
    assert!(metadata.iter().any(|(key, text)| key.ends_with(".py") && text.contains("def forward")), "{metadata:?}");
}

#[test]
fn weights_stand_in_the_rows_of_their_network() {
    let Some(folder) = reference() else { return };
    let files = ["resnet8.onnx", "resnet8_state_dict.pt", "resnet8.safetensors", "resnet8_int8.pt"];
    let workspace = open(&files.map(|name| folder.join("models").join(name)));
    assert!(workspace.problems.is_empty(), "{:?}", workspace.problems);
    let convolutions: Vec<_> = workspace.layers.iter().filter(|row| row.op == "Conv").collect();
    assert_eq!(convolutions.len(), 9);
    for row in convolutions {
        let weight = row.parameters.iter().find(|parameter| parameter.role == "weight").unwrap();
        assert!(weight.values.iter().all(Option::is_some), "{row:?}");
    }
    assert!(
        workspace.unmatched.iter().any(|line| line.starts_with("resnet8_state_dict.pt: ")),
        "{:?}",
        workspace.unmatched
    );
}
