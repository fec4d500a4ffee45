//! Files with flipped bytes: everything that reads a document either works or says what is wrong; nothing panics.

use bytes::Bytes;
use quantscope::onnx::{Counts, Document, Facts, align, layers};
use quantscope::quant::{parameter_issues, quantized_tensors, weight_view};
use rand_core::{RngCore, SeedableRng};

/// Enough to reach every reader (each file decodes in about half of the rounds), little enough for every test run.
const ROUNDS: usize = 150;

fn read_everything(document: &Document, other: &Document) {
    let facts = Facts::of(document);
    _ = Counts::of(document, &facts);
    let tensors = quantized_tensors(document);
    _ = parameter_issues(document, &tensors);
    for tensor in &tensors {
        _ = (tensor.symmetric(), tensor.range());
        _ = weight_view(document, &tensor.value);
    }
    _ = layers(document);
    let weight = |document: &Document, value: &str| Some(weight_view(document, value)?.ok()?.real);
    for pair in [[document, other], [other, document]] {
        let alignment = align(&pair, &weight);
        assert!(alignment.layers.iter().all(|layer| layer.members.len() == 2));
    }
    _ = document.encode_message();
    _ = document.inlined();
}

#[test]
fn flipped_bytes_do_no_harm() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models");
    let tiny = crate::support::open(&folder.join("tiny.onnx"));
    let mut random = rand_pcg::Pcg64::seed_from_u64(7);
    let mut opened = 0;
    for name in ["tiny_int8", "tiny_uint8_qoperator", "tiny_uint8_dynamic", "tiny_depthwise_int8", "tiny_int4_blocked"]
    {
        let whole = std::fs::read(folder.join(format!("{name}.onnx"))).unwrap();
        for _ in 0..ROUNDS {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.next_u32() % 3 {
                let at = random.next_u32() as usize % bytes.len();
                bytes[at] = match random.next_u32() % 3 {
                    0 => random.next_u32() as u8,
                    1 => bytes[at] ^ (1 << (random.next_u32() % 8)),
                    _ => 0,
                };
            }
            if let Ok(document) = Document::decode(Bytes::from(bytes)) {
                read_everything(&document, &tiny);
                opened += 1;
            }
        }
    }
    assert!(opened > ROUNDS, "{opened} of {} were read", 5 * ROUNDS);
}
