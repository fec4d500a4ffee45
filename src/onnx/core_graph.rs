//! The network behind the file: its operations without the nodes that only quantize, dequantize, cast or rescale.
//!
//! `Conv`, `DequantizeLinear -> Conv -> QuantizeLinear`, `QLinearConv` and
//! `DynamicQuantizeLinear -> ConvInteger -> Cast -> Mul -> Add` are one operation here. The layer list and the
//! matching of variants are made from it.

use super::attributes::NodeExt;
use super::document::Document;
use super::operands::{Signature, is_dequantize, is_plumbing, is_quantize};
use std::collections::{HashMap, HashSet};

/// A data operand of an operation, followed back through plumbing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreOperand {
    /// What it is to the operation: `input`, `weight`, `bias`, ...
    pub role: &'static str,
    /// The value where it starts: a constant as stored, a graph input, or what another operation writes.
    pub value: String,
    /// The value as the node reads it.
    pub read: String,
    /// Whether it is constant.
    pub constant: bool,
}

/// One operation of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreOp {
    /// Position of the node that computes it.
    pub node: usize,
    /// The float operator it stands for.
    pub op: String,
    /// Its operands, in order; a bias that is added behind an integer operator is among them.
    pub operands: Vec<CoreOperand>,
    /// The value that carries its result: real-valued where the file has such a value, else the stored integers.
    pub output: String,
    /// All values it writes, first the one above.
    pub outputs: Vec<String>,
    /// The result behind its quantizer: the value that `DequantizeLinear` gives, or the stored integers where no node
    /// dequantizes them. `None` where the result is not quantized.
    pub dequantized: Option<String>,
    /// The node that quantizes the result; the operation's own where that writes integers.
    pub quantizer: Option<usize>,
    /// Nodes that belong to it besides its own: the cast, the rescaling and the bias of an integer operator.
    pub absorbed: Vec<usize>,
    /// Whether its operands or its result are quantized.
    pub quantized: bool,
}

/// The nodes behind `ConvInteger` and `MatMulInteger` that turn the sum into reals, as `quantize_dynamic` writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rescale {
    /// The nodes: cast, the product of the scales, the product with it, the addition of the bias.
    pub nodes: Vec<usize>,
    /// The value of the weight's scale.
    pub weight_scale: Option<String>,
    /// The value of the activation's scale.
    pub input_scale: Option<String>,
    /// The real-valued result.
    pub output: String,
    /// The bias as it is added.
    pub bias: Option<String>,
}

impl Document {
    /// The operations of the main graph, in an order in which they can run.
    pub fn core_ops(&self) -> Vec<CoreOp> {
        let mut rescales: HashMap<usize, Rescale> = HashMap::new();
        for (position, node) in self.graph().node.iter().enumerate() {
            if matches!(node.op_type(), "ConvInteger" | "MatMulInteger") {
                rescales.extend(self.rescale(position).map(|rescale| (position, rescale)));
            }
        }
        let absorbed: HashSet<usize> = rescales.values().flat_map(|rescale| rescale.nodes.iter().copied()).collect();
        let order = self.index().order().iter().copied().filter(|position| !absorbed.contains(position));
        order.filter_map(|position| self.core_op(position, rescales.get(&position))).collect()
    }

    fn core_op(&self, position: usize, rescale: Option<&Rescale>) -> Option<CoreOp> {
        let node = self.node(position)?;
        if is_plumbing(node) || self.is_constant_fold(position) {
            return None;
        }
        let signature = Signature::of(node);
        let operand = |role, read: &str| {
            let value = self.origin(read);
            CoreOperand { role, constant: self.is_constant(&value), value, read: read.to_owned() }
        };
        let mut operands: Vec<CoreOperand> = signature
            .operands
            .iter()
            .filter_map(|slot| Some(operand(slot.role, node.input_name(slot.position)?)))
            .collect();
        operands.extend(rescale.and_then(|rescale| rescale.bias.as_deref()).map(|bias| operand("bias", bias)));
        let written: Vec<&str> = node.output.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        let output = rescale.map_or(written.first().copied(), |rescale| Some(rescale.output.as_str()))?;
        let outputs = std::iter::once(output).chain(written.iter().skip(1).copied()).map(str::to_owned).collect();
        let (quantizer, dequantized) = match signature.result {
            Some(_) => (Some(position), Some(self.dequantized(output).unwrap_or(output).to_owned())),
            None => match self.quantizer(output) {
                Some((quantizer, stored)) => {
                    (Some(quantizer), Some(self.dequantized(stored).unwrap_or(stored).to_owned()))
                }
                None => (None, None),
            },
        };
        let from_quantizer = operands.iter().any(|operand| self.passes_quantizer(&operand.read));
        Some(CoreOp {
            node: position,
            op: signature.op,
            output: output.to_owned(),
            outputs,
            quantized: signature.quantized || quantizer.is_some() || from_quantizer,
            dequantized,
            quantizer,
            absorbed: rescale.map(|rescale| rescale.nodes.clone()).unwrap_or_default(),
            operands,
        })
    }

    /// Where a value starts: followed back through plumbing, and through nodes that only reshape a constant.
    pub fn origin(&self, value: &str) -> String {
        let mut value = value;
        // A cycle of plumbing is a broken file; as many steps as nodes are enough for any other.
        for _ in 0..=self.graph().node.len() {
            let Some(slot) = self.index().producer(value) else { break };
            let Some(node) = self.node(slot.node) else { break };
            // The scale and the zero point that DynamicQuantizeLinear makes are no form of its input.
            let passes = (is_plumbing(node) && slot.position == 0) || self.is_constant_fold(slot.node);
            match node.input_name(0).filter(|_| passes) {
                Some(input) => value = input,
                None => break,
            }
        }
        value.to_owned()
    }

    /// Whether a node only lays out a constant anew (`Reshape`, `Transpose`, ... of an initializer), or is one.
    fn is_constant_fold(&self, position: usize) -> bool {
        let mut position = position;
        for _ in 0..=self.graph().node.len() {
            let Some(node) = self.node(position).filter(|node| node.domain_name().is_empty()) else { return false };
            match node.op_type() {
                "Constant" => return true,
                "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Identity" | "Cast"
                | "QuantizeLinear" | "DequantizeLinear" => {}
                _ => return false,
            }
            let Some(input) = node.input_name(0) else { return false };
            match self.index().producer(input) {
                Some(slot) => position = slot.node,
                None => return self.index().initializer(input).is_some(),
            }
        }
        false
    }

    /// The `QuantizeLinear` that reads a value, and what it writes.
    pub fn quantizer(&self, value: &str) -> Option<(usize, &str)> {
        let readers = self.index().consumers(value).iter().filter(|slot| slot.position == 0);
        readers.into_iter().find_map(|slot| {
            let node = self.node(slot.node).filter(|node| is_quantize(node))?;
            Some((slot.node, node.output_name(0)?))
        })
    }

    /// What the first `DequantizeLinear` that reads a stored value writes.
    pub fn dequantized(&self, stored: &str) -> Option<&str> {
        let readers = self.index().consumers(stored).iter().filter(|slot| slot.position == 0);
        readers.into_iter().find_map(|slot| {
            self.node(slot.node).filter(|node| is_dequantize(node)).and_then(|node| node.output_name(0))
        })
    }

    /// Whether a value comes straight out of a quantizing or dequantizing node.
    fn passes_quantizer(&self, value: &str) -> bool {
        self.producer_node(value)
            .is_some_and(|node| is_quantize(node) || is_dequantize(node) || node.op_type() == "DynamicQuantizeLinear")
    }

    /// The rescaling behind an integer operator; `None` where the nodes behind it are others.
    ///
    /// `y = Cast(sum) x (input scale x weight scale) + bias`; `quantize_dynamic` multiplies the two scales in a node
    /// of their own, other writers may multiply one after the other.
    pub fn rescale(&self, position: usize) -> Option<Rescale> {
        let node = self.node(position)?;
        let only_reader = |value: &str| match self.index().consumers(value) {
            [slot] => self.node(slot.node).map(|reader| (slot.node, reader)),
            _ => None,
        };
        let input_scale = self.dynamic_scale(node.input_name(0)?);
        let (cast, caster) = only_reader(node.output_name(0)?).filter(|(_, reader)| reader.op_type() == "Cast")?;
        let mut rescale =
            Rescale { nodes: vec![cast], output: caster.output_name(0)?.to_owned(), ..Default::default() };
        while let Some((at, product)) = only_reader(&rescale.output).filter(|(_, reader)| reader.op_type() == "Mul") {
            let factor = product.input.iter().find(|name| **name != rescale.output)?;
            let maker = self.index().producer(factor).and_then(|slot| Some((slot.node, self.node(slot.node)?)));
            let is_input_scale = |name: &str| Some(name) == input_scale;
            if let Some((scales_at, scales)) = maker.filter(|(_, maker)| maker.op_type() == "Mul") {
                let weight =
                    scales.input.iter().find(|name| !is_input_scale(name) && self.is_constant(&self.origin(name)));
                if rescale.weight_scale.is_some() || weight.is_none() {
                    break;
                }
                rescale.weight_scale = weight.cloned();
                rescale.input_scale = scales.input.iter().find(|name| Some(*name) != weight).cloned();
                rescale.nodes.push(scales_at);
            } else if is_input_scale(factor) && rescale.input_scale.is_none() {
                rescale.input_scale = Some(factor.clone());
            } else if self.is_constant(&self.origin(factor)) && rescale.weight_scale.is_none() {
                rescale.weight_scale = Some(factor.clone());
            } else {
                break;
            }
            rescale.nodes.push(at);
            rescale.output = product.output_name(0)?.to_owned();
        }
        // An addition of a constant behind it is the bias only for Conv: behind MatMul it is a node of the float
        // model, because MatMul has no bias.
        if node.op_type() == "ConvInteger"
            && let Some((at, sum)) = only_reader(&rescale.output).filter(|(_, reader)| reader.op_type() == "Add")
            && let Some(bias) = sum.input.iter().find(|name| **name != rescale.output)
            && let Some(output) = sum.output_name(0)
            && self.index().producer(bias).is_some_and(|slot| self.is_constant_fold(slot.node))
        {
            rescale.bias = Some(bias.clone());
            rescale.nodes.push(at);
            rescale.output = output.to_owned();
        }
        Some(rescale)
    }

    /// The scale that `DynamicQuantizeLinear` made together with these integers.
    fn dynamic_scale(&self, stored: &str) -> Option<&str> {
        self.producer_node(stored).filter(|node| node.op_type() == "DynamicQuantizeLinear")?.output_name(1)
    }
}
