//! What ONNX Runtime's QDQ quantizer quantizes, operator by operator.

use super::Ranges;
use super::clamp::{clamp_of, node_label};
use super::graph::Graph;
use super::marks::{BiasMark, Mark, MarkKind};
use super::note::Note;
use super::options::QuantizeOptions;
use super::selection::Selection;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;

/// Marks tensors node by node, in the order of the file, and takes out the Relu and Clip nodes that a quantizer's
/// saturation stands for.
pub(super) fn select(graph: &mut Graph, ranges: &Ranges, options: &QuantizeOptions) -> Selection {
    let mut marker = Marker { graph, ranges, options, selection: Selection::default() };
    for position in 0..marker.graph.nodes.len() {
        let Some(node) = marker.graph.nodes.get(position).cloned().flatten() else { continue };
        if options.quantizes_node(node.op_type(), node.name()) {
            marker.node(position, &node);
        }
    }
    marker.selection
}

struct Marker<'a> {
    graph: &'a mut Graph,
    ranges: &'a Ranges,
    options: &'a QuantizeOptions,
    selection: Selection,
}

impl Marker<'_> {
    fn node(&mut self, position: usize, node: &NodeProto) {
        let input = node.input_name(0).unwrap_or_default().to_owned();
        let output = node.output_name(0).unwrap_or_default().to_owned();
        let float_output = self.options.op_types_with_float_output.contains(node.op_type());
        let opset = self.graph.opset;
        match node.op_type() {
            "Conv" | "ConvTranspose" => {
                let axis = if node.op_type() == "Conv" { 0 } else { 1 };
                self.linear(position, node, axis, float_output);
            }
            "Gemm" => {
                let axis = if node.int("transB").unwrap_or(0) > 0 { 0 } else { 1 };
                self.linear(position, node, axis, float_output);
            }
            "MatMul" => {
                for tensor in node.input.iter().chain(node.output.iter().filter(|_| !float_output)) {
                    match self.graph.initializer(tensor) {
                        Some(_) => self.weight(tensor, 1, Some("MatMul")),
                        None => self.activation(tensor),
                    }
                }
            }
            "Relu" | "Clip" => self.removable(position, node, &input, &output, float_output),
            "Resize" if opset < 11 => {}
            "MaxPool" if opset < 12 => {}
            "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Resize" | "MaxPool" | "AveragePool" | "Slice"
            | "TopK" => {
                if self.options.force_pass_through {
                    self.activation(&input);
                }
                if self.selection.marks.contains(&input) && !float_output {
                    self.shared(&output, &input);
                }
            }
            "Gather" | "GatherElements" => {
                let constant = self.graph.initializer(&input).is_some() && self.graph.is_float(&input);
                if constant || self.options.force_pass_through {
                    self.activation(&input);
                    self.shared(&output, &input);
                } else if self.selection.marks.contains(&input) {
                    self.shared(&output, &input);
                }
            }
            "Split" => {
                self.activation(&input);
                for output in node.output.iter().filter(|_| !float_output) {
                    self.shared(output, &input);
                }
            }
            "Pad" => {
                node.input.iter().for_each(|input| self.activation(input));
                match float_output {
                    true => {}
                    false if self.pads_with_what_the_input_has(node, &input) => self.shared(&output, &input),
                    false => self.activation(&output),
                }
            }
            "Where" => self.choice(node, float_output),
            "InstanceNormalization" | "LayerNormalization" | "BatchNormalization" => {
                self.activation(&input);
                if let Some(scale) = node.input_name(1) {
                    match self.graph.initializer(scale) {
                        Some(_) => self.weight(scale, 1, Some(node.op_type())),
                        None => self.activation(scale),
                    }
                    self.bias(position, node, &input, scale);
                }
                node.output.iter().filter(|_| !float_output).for_each(|output| self.activation(output));
            }
            _ => {
                let outputs = node.output.iter().filter(|_| !float_output);
                node.input.iter().chain(outputs).for_each(|tensor| self.activation(tensor));
            }
        }
    }

    /// Convolutions and `Gemm`: input, output, weight with an axis for channels, bias.
    fn linear(&mut self, position: usize, node: &NodeProto, axis: i64, float_output: bool) {
        let input = node.input_name(0).unwrap_or_default();
        self.activation(input);
        if let Some(output) = node.output_name(0).filter(|_| !float_output) {
            self.activation(output);
        }
        let Some(weight) = node.input_name(1) else { return };
        self.weight(weight, axis, None);
        self.bias(position, node, input, weight);
    }

    fn activation(&mut self, tensor: &str) {
        if self.graph.is_float(tensor) {
            self.selection.marks.add(tensor, Mark::of(MarkKind::Activation));
        }
    }

    /// A tensor that uses the scale of another.
    fn shared(&mut self, tensor: &str, with: &str) {
        if self.graph.is_float(tensor) {
            let shared_with = Some(with.to_owned());
            self.selection.marks.replace(tensor, Mark { shared_with, ..Mark::of(MarkKind::Activation) });
        }
    }

    /// A weight; one that is no constant is quantized like an activation, with the type of activations.
    fn weight(&mut self, tensor: &str, axis: i64, op_type: Option<&str>) {
        if !self.graph.is_float(tensor) {
            return;
        }
        match self.channel_axis(tensor, axis, op_type) {
            Some(axis) => {
                let mark = Mark { axis: Some(axis), ..Mark::of(MarkKind::Weight) };
                self.selection.marks.replace(tensor, mark);
            }
            None => self.selection.marks.add(tensor, Mark::of(MarkKind::Weight)),
        }
    }

    /// The channel axis of a constant where it gets a scale for each channel.
    fn channel_axis(&self, tensor: &str, axis: i64, op_type: Option<&str>) -> Option<usize> {
        let rank = self.graph.initializer(tensor)?.dims.len();
        if let Some(axis) = self.options.overrides.get(tensor).and_then(|changed| changed.axis) {
            return axis.filter(|&axis| axis < rank);
        }
        let chosen = op_type.and_then(|op_type| self.options.channel_axis.get(op_type)).copied().unwrap_or(axis);
        let axis = if chosen < 0 { chosen.checked_add(i64::try_from(rank).ok()?)? } else { chosen };
        usize::try_from(axis).ok().filter(|&axis| axis < rank && self.options.per_channel)
    }

    /// The third input as an int32 bias. A bias that another node uses too gets a copy: its scale follows from the
    /// node's other inputs.
    fn bias(&mut self, position: usize, node: &NodeProto, input: &str, weight: &str) {
        let Some(bias) = node.input_name(2).filter(|bias| self.graph.initializer(bias).is_some()) else { return };
        if !self.graph.is_float(bias) {
            return;
        }
        if self.options.overrides.get(bias).is_some_and(|changed| changed.dtype.is_some() || changed.params.is_some()) {
            self.weight(bias, 0, None);
            return;
        }
        let mut own = bias.to_owned();
        if self.selection.marks.biases.iter().any(|mark| mark.bias == bias) {
            let Some(copy) = self.graph.own_copy(position, bias) else { return };
            if node.name().is_empty() {
                self.selection.notes.push(Note::BiasCopied { bias: own, copy: copy.clone() });
            }
            own = copy;
        }
        self.selection.fold_beta(self.graph, position, node, &own);
        let mark = BiasMark { bias: own, input: input.to_owned(), weight: weight.to_owned() };
        self.selection.marks.biases.push(mark);
    }

    /// Relu and Clip: gone where the tensor before has no other reader and ranges are not symmetric.
    fn removable(&mut self, position: usize, node: &NodeProto, input: &str, output: &str, float_output: bool) {
        if !self.selection.marks.contains(input) {
            return;
        }
        let bounds = clamp_of(self.graph, node);
        let free = self.ranges.contains_key(input)
            && self.ranges.contains_key(output)
            && self.graph.readers(input) == 1
            && !self.graph.is_graph_output(input)
            && !self.graph.is_graph_input(input)
            && self.graph.initializer(input).is_none();
        let wanted = !self.options.activations_symmetric && !self.options.keep_activation_functions;
        if wanted && free && bounds.is_none() {
            self.selection.notes.push(Note::ClipKept { node: node_label(node) });
        }
        match bounds.filter(|_| wanted && free) {
            Some(bounds) => {
                self.graph.absorb(position, input, output);
                self.selection.marks.remove(input);
                self.selection.absorb(input, output, bounds);
            }
            None => self.activation(input),
        }
        if !float_output {
            self.activation(output);
        }
    }

    /// Where: only if both choices are quantized already, unless forced.
    fn choice(&mut self, node: &NodeProto, float_output: bool) {
        let choices: Vec<&str> = [1, 2].into_iter().filter_map(|at| node.input_name(at)).collect();
        if self.options.force_pass_through {
            choices.iter().for_each(|choice| self.activation(choice));
        } else if !choices.iter().all(|choice| self.selection.marks.contains(choice)) {
            return;
        }
        if !float_output {
            node.output.iter().for_each(|output| self.activation(output));
        }
    }

    /// Whether what a Pad adds is a number that the input's scale represents exactly: one of the input's, or 0.
    fn pads_with_what_the_input_has(&self, node: &NodeProto, input: &str) -> bool {
        match node.string("mode").unwrap_or("constant") {
            "reflect" | "edge" | "wrap" => true,
            "constant" if !self.graph.is_float(input) => false,
            "constant" if self.graph.opset < 11 => node.float("value").unwrap_or(0.0) == 0.0,
            "constant" => node.input_name(2).is_none_or(|value| {
                let value = self.graph.constant(value).and_then(|tensor| tensor.to_f32().ok());
                value.is_some_and(|value| value == [0.0])
            }),
            _ => false,
        }
    }
}
