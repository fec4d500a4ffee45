//! `inspect`: what a model is.

use super::job::TerminalJob;
use super::{Ended, Outcome, files, print, print_json};
use crate::onnx::Document;
use crate::quant::{QuantizedTensor, quantized_tensors};
use crate::worker::ModelSummary;
use crate::worker::service::Service;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub struct Inspect {
    /// Models.
    #[arg(required = true)]
    models: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    summary: ModelSummary,
    quantized_tensors: Vec<QuantizedTensor>,
}

impl Inspect {
    /// Prints a card per model.
    pub fn run(self, json: bool) -> Outcome {
        let job = TerminalJob::new();
        let mut service = Service::default();
        let workspace = files::open(&mut service, &self.models, &job)?;
        job.finish();
        files::models(&workspace, &self.models)?;
        let mut reports = Vec::new();
        for summary in workspace.models {
            let quantized = service.document(summary.id).map(tensors).unwrap_or_default();
            reports.push(Report { summary, quantized_tensors: quantized });
        }
        if json {
            print_json(&reports)?;
        } else {
            reports.iter().for_each(|report| print(&words(report)));
        }
        Ok(Ended::Well)
    }
}

fn tensors(document: &Document) -> Vec<QuantizedTensor> {
    quantized_tensors(document)
}

fn words(report: &Report) -> String {
    let card = &report.summary;
    let mut lines = vec![
        format!("{}  {}  {} bytes  sha256 {}", card.file, card.format, card.size_bytes, card.sha256),
        format!("  producer    {}", card.producer),
        format!("  IR version  {}", card.ir_version),
    ];
    let opsets: Vec<String> = card.opsets.iter().map(|(domain, version)| format!("{domain} {version}")).collect();
    lines.push(format!("  opsets      {}", opsets.join(", ")));
    let mut ports = |title: &str, ports: &[crate::worker::PortSummary]| {
        for port in ports {
            lines.push(format!("  {title:<10}  {} {} [{}]", port.name, port.dtype, port.shape.join(", ")));
        }
    };
    ports("input", &card.inputs);
    ports("output", &card.outputs);
    let macs = card.macs.map_or_else(|| "unknown".to_owned(), |macs| macs.to_string());
    lines.push(format!("  parameters  {}, multiply-accumulates {macs}", card.parameters));
    lines.push(format!(
        "  nodes       {}, {} QuantizeLinear and {} DequantizeLinear ({:.1} %)",
        card.nodes,
        card.quantize_linear,
        card.dequantize_linear,
        100.0 * card.quantize_share
    ));
    for (op, count) in &card.op_counts {
        lines.push(format!("    {count:>5} {op}"));
    }
    for tensor in &report.quantized_tensors {
        if let Some(params) = tensor.fixed() {
            let scales =
                params.scale.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &s| (l.min(s), h.max(s)));
            let scale = if params.scale.len() == 1 {
                format!("scale {:e}", scales.0)
            } else {
                format!("{} scales {:e} to {:e}", params.scale.len(), scales.0, scales.1)
            };
            let zero = params.zero_point.first().copied().unwrap_or(0);
            lines.push(format!(
                "    {:<10} {} {} {scale} zero point {zero}",
                format!("{:?}", tensor.kind),
                tensor.value,
                params.dtype
            ));
        }
    }
    for node in &card.unsupported {
        lines.push(format!("  cannot run  {} ({}): {}", node.node, node.op_type, node.reason));
    }
    for issue in &card.issues {
        lines.push(format!("  issue       {issue}"));
    }
    lines.join("\n")
}
