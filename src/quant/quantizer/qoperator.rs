//! What ONNX Runtime's QOperator quantizer turns into QLinear operators, and which tensors that quantizes.
//!
//! An operator becomes a QLinear one where its inputs can be quantized and the range of its output is known; what lies
//! between two of them never leaves the integers. All others stay float between DequantizeLinear and QuantizeLinear.

use super::Ranges;
use super::clamp::{clamp_of, node_label};
use super::graph::Graph;
use super::marks::{BiasMark, Mark, MarkKind};
use super::note::Note;
use super::options::QuantizeOptions;
use super::selection::Selection;
use crate::onnx::NodeExt;
use crate::onnx::proto::NodeProto;
use crate::quant::table::{Clamp, pads_with_number, picks_nearest};
use crate::tensor::DType;

/// Softmax gives 0 to 1; its kernel wants this scale.
const SOFTMAX_SCALE: f32 = 1.0 / 256.0;

/// Marks tensors node by node, in the order of the file, and takes out Relu and Clip behind quantized operators.
pub(super) fn select(graph: &mut Graph, ranges: &Ranges, options: &QuantizeOptions) -> Selection {
    let mut marker = Marker { graph, ranges, options, selection: Selection::default() };
    for position in 0..marker.graph.nodes.len() {
        let Some(node) = marker.graph.nodes.get(position).cloned().flatten() else { continue };
        let quantized = options.quantizes_node(node.op_type(), node.name()) && marker.node(position, &node);
        if quantized {
            marker.selection.integer_nodes.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    marker.copy_for_integers();
    marker.selection
}

struct Marker<'a> {
    graph: &'a mut Graph,
    ranges: &'a Ranges,
    options: &'a QuantizeOptions,
    selection: Selection,
}

impl Marker<'_> {
    /// Whether the node becomes an integer one.
    fn node(&mut self, position: usize, node: &NodeProto) -> bool {
        let (Some(input), Some(output)) = (node.input_name(0), node.output_name(0)) else { return false };
        let (opset, marked) = (self.graph.opset, self.selection.marks.contains(input));
        let floats = self.graph.is_float(input);
        match node.op_type() {
            "Conv" if floats => self.linear(position, node, 0),
            "Gemm" if floats => self.linear(position, node, if node.int("transB").unwrap_or(0) > 0 { 0 } else { 1 }),
            "MatMul" => {
                let Some(other) = node.input_name(1) else { return false };
                if !(floats || self.graph.is_float(other)) || !self.known(&[input, other], output) {
                    return false;
                }
                self.activation(input);
                let rank = self.graph.initializer(other).map(|tensor| tensor.dims.len());
                let axis = rank.and_then(|rank| rank.checked_sub(1)).filter(|_| self.options.per_channel);
                self.weight(other, axis, None);
                self.activation(output);
                true
            }
            "Add" | "Mul" if floats => self.elementwise(node, 2, output),
            "Concat" if floats => self.elementwise(node, node.input.len(), output),
            "LeakyRelu" | "Sigmoid" | "AveragePool" if floats => self.elementwise(node, 1, output),
            "Softmax" if floats => {
                if !self.known(&[input], output) {
                    return false;
                }
                self.activation(input);
                let zero_point = if self.options.activation_type == DType::Uint8 { 0 } else { -128 };
                let fixed = Some((SOFTMAX_SCALE, zero_point));
                self.selection.marks.add(output, Mark { fixed, ..Mark::of(MarkKind::Activation) });
                true
            }
            "Relu" | "Clip" if floats && marked => self.removable(position, node, input, output),
            "GlobalAveragePool" if floats && marked => {
                match self.ranges.contains_key(output) {
                    true => self.activation(output),
                    false => self.shared(output, input),
                }
                true
            }
            "Split" if floats && self.known(&[input], input) => {
                self.activation(input);
                for output in &node.output {
                    self.moved(output, input);
                }
                true
            }
            "Gather" if floats && self.graph.initializer(input).is_some() => {
                self.activation(input);
                self.moved(output, input)
            }
            "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" if floats && marked => self.moved(output, input),
            "MaxPool" if floats && marked && opset >= 12 => self.moved(output, input),
            "Resize" if floats && marked && opset >= 11 => match picks_nearest(node) {
                true => self.moved(output, input),
                false => {
                    self.shared(output, input);
                    true
                }
            },
            "Pad" if floats && marked && opset >= 11 => {
                self.number_added(position, node, input);
                self.moved(output, input)
            }
            "ArgMax" if marked => true,
            _ => false,
        }
    }

    /// The output of an operator that moves integers about.
    fn moved(&mut self, output: &str, input: &str) -> bool {
        self.shared(output, input);
        if !output.is_empty() {
            self.selection.moved.insert(output.to_owned(), input.to_owned());
        }
        true
    }

    /// What a `Pad` adds is a code of its input's scale; a constant that is quantized otherwise already gets a copy.
    fn number_added(&mut self, position: usize, node: &NodeProto, input: &str) {
        let Some(number) = node.input_name(2).filter(|_| pads_with_number(node)) else { return };
        let own = match self.selection.marks.contains(number) {
            true => self.graph.own_copy(position, number),
            false => Some(number.to_owned()),
        };
        own.into_iter().for_each(|own| self.shared(&own, input));
    }

    /// Whether each input is or can be quantized and the range of the output is known.
    fn known(&self, inputs: &[&str], output: &str) -> bool {
        let can = |tensor: &&str| {
            let constant = self.graph.initializer(tensor).is_some() && self.graph.is_float(tensor);
            self.selection.marks.contains(tensor) || constant || self.ranges.contains_key(*tensor)
        };
        inputs.iter().all(can) && can(&output)
    }

    fn elementwise(&mut self, node: &NodeProto, count: usize, output: &str) -> bool {
        let inputs: Vec<&str> = (0..count).filter_map(|at| node.input_name(at)).collect();
        if !self.known(&inputs, output) {
            return false;
        }
        inputs.iter().for_each(|input| self.activation(input));
        self.activation(output);
        true
    }

    fn linear(&mut self, position: usize, node: &NodeProto, axis: usize) -> bool {
        let (Some(input), Some(weight), Some(output)) = (node.input_name(0), node.input_name(1), node.output_name(0))
        else {
            return false;
        };
        let bias = node.input_name(2);
        if !self.known(&[input, weight], output) {
            return false;
        }
        if let Some(bias) = bias.filter(|bias| self.graph.initializer(bias).is_none()) {
            let (node, op) = (node_label(node), node.op_type().to_owned());
            self.selection.notes.push(Note::BiasComputed { node, op, bias: bias.to_owned() });
            return false;
        }
        self.activation(input);
        let rank = self.graph.initializer(weight).map_or(0, |tensor| tensor.dims.len());
        let per_channel = self.options.per_channel && axis < rank;
        // Weights of convolutions with many scales are int8 there, whatever was asked for.
        let dtype = (per_channel && node.op_type() == "Conv").then_some(DType::Int8);
        self.weight(weight, per_channel.then_some(axis), dtype);
        self.activation(output);
        if let Some(bias) = bias {
            let mut own = bias.to_owned();
            if self.selection.marks.biases.iter().any(|mark| mark.bias == bias) {
                match self.graph.own_copy(position, bias) {
                    Some(copy) => {
                        own.clone_from(&copy);
                        self.selection.notes.push(Note::BiasCopied { bias: bias.to_owned(), copy });
                    }
                    None => return true,
                }
            }
            match node.float("alpha").unwrap_or(1.0) {
                1.0 => self.selection.fold_beta(self.graph, position, node, &own),
                alpha => self.selection.fold_alpha(self.graph, position, node, &own, alpha),
            }
            let mark = BiasMark { bias: own, input: input.to_owned(), weight: weight.to_owned() };
            self.selection.marks.biases.push(mark);
        }
        true
    }

    fn activation(&mut self, tensor: &str) {
        self.selection.marks.add(tensor, Mark::of(MarkKind::Activation));
    }

    fn shared(&mut self, tensor: &str, with: &str) {
        if !tensor.is_empty() {
            let shared_with = Some(with.to_owned());
            self.selection.marks.add(tensor, Mark { shared_with, ..Mark::of(MarkKind::Activation) });
        }
    }

    fn weight(&mut self, tensor: &str, axis: Option<usize>, dtype: Option<DType>) {
        match self.graph.initializer(tensor) {
            Some(_) => self.selection.marks.add(tensor, Mark { axis, dtype, ..Mark::of(MarkKind::Weight) }),
            None => self.activation(tensor),
        }
    }

    /// What a float node or the graph's input makes stays float for float readers; integer ones read a copy, which is
    /// quantized. Constants are read quantized by all.
    fn copy_for_integers(&mut self) {
        let marked: Vec<String> =
            self.selection.marks.in_order().into_iter().map(|(tensor, _)| tensor.to_owned()).collect();
        for tensor in marked {
            if self.selection.integer_nodes.contains(&tensor) || self.graph.initializer(&tensor).is_some() {
                continue;
            }
            let integer = |node: &NodeProto| node.output.iter().any(|name| self.selection.integer_nodes.contains(name));
            let reads = |node: &NodeProto| node.input.contains(&tensor);
            let nodes = self.graph.nodes.iter().enumerate().filter_map(|(at, node)| Some((at, node.as_ref()?)));
            let readers: Vec<usize> =
                nodes.filter(|(_, node)| reads(node) && integer(node)).map(|(at, _)| at).collect();
            let places = readers.iter().filter_map(|&at| self.graph.nodes.get(at)?.as_ref());
            let by_integers: usize =
                places.map(|node| node.input.iter().filter(|input| **input == tensor).count()).sum();
            if self.graph.readers(&tensor) == by_integers && !self.graph.is_graph_output(&tensor) {
                continue;
            }
            if let Some(copy) = self.graph.copy_for(&tensor, &readers) {
                self.selection.marks.rename(&tensor, &copy);
                for before in self.selection.moved.values_mut().filter(|before| **before == tensor) {
                    before.clone_from(&copy);
                }
                self.selection.renamed.insert(copy.clone(), tensor.clone());
                self.selection.copies.insert(copy, tensor);
            }
        }
    }

    /// Relu and Clip behind a quantized tensor: what comes out is the same integers.
    fn removable(&mut self, position: usize, node: &NodeProto, input: &str, output: &str) -> bool {
        if self.options.activations_symmetric || self.options.keep_activation_functions {
            return false;
        }
        let produced = self.selection.integer_nodes.contains(input);
        let Some(bounds) = clamp_of(self.graph, node) else {
            self.selection.notes.push(Note::ClipKept { node: node_label(node) });
            return false;
        };
        if !produced || self.graph.readers(input) != 1 || self.graph.is_graph_output(input) {
            self.selection.notes.push(Note::ActivationKept { node: node_label(node) });
            return false;
        }
        if self.selection.moved.contains_key(input) {
            return self.behind_moved(position, node, input, bounds);
        }
        let Some(mark) = self.selection.marks.get(input).cloned() else { return false };
        self.graph.absorb(position, input, output);
        self.selection.marks.remove(input);
        self.selection.marks.add(output, mark);
        self.selection.integer_nodes.remove(input);
        self.selection.absorb(input, output, bounds);
        let original = self.selection.renamed.remove(input).unwrap_or_else(|| input.to_owned());
        self.selection.renamed.insert(output.to_owned(), original);
        true
    }

    /// Relu and Clip behind integers that were only moved: their scale is that of what was there before, whose range says
    /// nothing of the function. It is gone where those were clamped so already, and stays else.
    fn behind_moved(&mut self, position: usize, node: &NodeProto, input: &str, bounds: Clamp) -> bool {
        let row = self.selection.row_of(input).to_owned();
        let clamped = |before: &Clamp| before.low >= bounds.low && before.high <= bounds.high;
        if self.selection.absorbed.get(&row).is_some_and(clamped) && self.graph.bypass(position) {
            return true;
        }
        self.selection.notes.push(Note::ActivationBehindMoved { node: node_label(node), with: row });
        false
    }
}
