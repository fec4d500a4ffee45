//! A quantized document taken apart into a float graph and a table.
//!
//! Planning decides for every node whether it can be lifted: its parameters are constant, its integers have known
//! makers and the parameters on both sides are equal. What cannot be lifted stays as it is written, and where such a
//! node reads integers, a `QuantizeLinear` is kept in front of it. Then the float graph is written in running order.

use super::absorbed;
use super::error::TableError;
use super::float_variant::FloatVariant;
use super::grid::Grid;
use super::names::Names;
use super::row::{ConstantData, QuantTable, Row, TableFormat};
use super::written::{WrittenNodes, WrittenRow};
use crate::onnx::proto::{NodeProto, TensorProto};
use crate::onnx::{Document, Facts, NodeExt};
use crate::quant::{TensorKind, quantized_tensors_with};
use plan::{Part, Plan};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

mod bias;
mod constant;
mod dynamic;
mod foreign;
mod operator;
mod plan;

/// A document taken apart.
#[derive(Clone, Debug)]
pub struct Lifted {
    /// The float graph.
    pub float: Document,
    /// What is rounded in it.
    pub table: QuantTable,
    /// Quantizing nodes that are left in the float graph.
    pub as_written: Vec<Written>,
    /// Constants of the float variant that are not the ones behind the integers.
    pub notes: Vec<String>,
}

/// A node left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its name, or its output's where it has none.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Why it cannot be lifted without changing its result.
    pub reason: String,
}

/// Takes a document apart; `float` is what is known of the float model behind it. A document that is not quantized
/// gives an empty table. Fails where the document has issues or its constants cannot be read.
pub fn lift(document: &Document, float: Option<&FloatVariant>) -> Result<Lifted, TableError> {
    let document = match document.is_self_contained() {
        true => Cow::Borrowed(document),
        false => Cow::Owned(document.inlined()?),
    };
    if let Some(issue) = document.issues().first() {
        return Err(issue.clone().into());
    }
    let facts = Facts::of(&document);
    let plan = Plan::of(&document, &facts);
    let mut lift = Lift::new(&document, &facts, float, &plan);
    for &position in document.index().order() {
        lift.node(position)?;
    }
    lift.finish()
}

/// The state of writing the float graph.
struct Lift<'a> {
    document: &'a Document,
    facts: &'a Facts,
    variant: Option<&'a FloatVariant>,
    plan: &'a Plan,
    /// What constants are in the network, by the name they are stored under.
    kinds: HashMap<String, TensorKind>,
    names: Names,
    nodes: Vec<NodeProto>,
    added: Vec<TensorProto>,
    rows: Vec<Row>,
    row_at: HashMap<String, usize>,
    /// For each row the value of the document that its codes are made of.
    origins: Vec<String>,
    /// Where a float value of the document is found in the float graph.
    aliases: HashMap<String, String>,
    /// What an integer value of the document is in the float graph.
    reals: HashMap<String, String>,
    /// Rows of a value or a stored constant by its name in the document.
    made: HashMap<String, Vec<(Grid, String)>>,
    /// Constants that lifted nodes have read.
    consumed: HashSet<String>,
    written: WrittenNodes,
    notes: Vec<String>,
}

impl<'a> Lift<'a> {
    fn new(document: &'a Document, facts: &'a Facts, variant: Option<&'a FloatVariant>, plan: &'a Plan) -> Self {
        let quantized = quantized_tensors_with(document, facts);
        Lift {
            document,
            facts,
            variant,
            plan,
            kinds: quantized.into_iter().map(|entry| (entry.stored, entry.kind)).collect(),
            names: Names::of(document.graph()),
            nodes: Vec::new(),
            added: Vec::new(),
            rows: Vec::new(),
            row_at: HashMap::new(),
            origins: Vec::new(),
            aliases: HashMap::new(),
            reals: HashMap::new(),
            made: HashMap::new(),
            consumed: HashSet::new(),
            written: WrittenNodes::default(),
            notes: Vec::new(),
        }
    }

    fn node(&mut self, position: usize) -> Result<(), TableError> {
        let Some(node) = self.document.node(position) else { return Ok(()) };
        match self.plan.parts.get(&position) {
            None => self.keep(node),
            Some(Part::Quantize(grid)) => self.quantize(node, grid)?,
            Some(Part::Dequantize) => self.dequantize(node),
            Some(Part::DequantizeForeign(_)) => self.keep_dequantize(node),
            Some(Part::DequantizeConstant(grid)) => {
                let stored = node.input_name(0).unwrap_or_default();
                let tensor =
                    self.stored_constant(stored, grid, Some(node), [node.input_name(1), node.input_name(2)])?;
                self.hand_on(node.output_name(0).unwrap_or_default(), &tensor);
            }
            Some(Part::Transparent) => self.transparent(node),
            Some(Part::Operator(parts)) => self.operator(node, parts)?,
            Some(Part::Dynamic(pattern)) => self.dynamic(pattern)?,
            Some(Part::Absorbed) => {}
        }
        for value in node.output.iter().filter(|value| self.plan.needed.contains(*value)) {
            self.keep_integers(position, node, value);
        }
        Ok(())
    }

    /// A value of the document as the float graph has it.
    fn read(&self, value: &str) -> String {
        self.aliases.get(value).map_or(value, String::as_str).to_owned()
    }

    /// A node that is no part of the quantization, or is left as written.
    fn keep(&mut self, node: &NodeProto) {
        let mut node = node.clone();
        for input in node.input.iter_mut() {
            *input = self.read(input);
        }
        self.nodes.push(node);
    }

    /// Keeps integers for nodes that are left as written.
    fn keep_integers(&mut self, position: usize, node: &NodeProto, value: &str) {
        let Some(real) = self.reals.get(value).cloned() else { return };
        if let Some(Part::Quantize(_)) = self.plan.parts.get(&position) {
            let mut copy = node.clone();
            if let Some(input) = copy.input.first_mut() {
                *input = real;
            }
            self.nodes.push(copy);
            return;
        }
        let Some(scale) = self.plan.scales.get(value) else { return };
        if let (Some(Part::Transparent), Some(grid)) = (self.plan.parts.get(&position), self.plan.grids.get(value)) {
            self.written.moved.insert(value.to_owned(), grid.clone());
        }
        let mut input = vec![real, scale.0.clone()];
        input.extend(scale.1.clone());
        self.nodes.push(NodeProto {
            op_type: Some("QuantizeLinear".to_owned()),
            name: Some(format!("{value}_QuantizeLinear")),
            input,
            output: vec![value.to_owned()],
            ..Default::default()
        });
    }

    /// The output of a lifted `DequantizeLinear` of an activation is the row's value for every reader.
    fn dequantize(&mut self, node: &NodeProto) {
        self.consume(node);
        let stored = node.input_name(0).unwrap_or_default();
        let Some(real) = self.reals.get(stored).cloned() else { return };
        let output = node.output_name(0).unwrap_or_default();
        let row = self.row_at.get(&real).and_then(|&at| self.rows.get_mut(at));
        let row = row.filter(|row| row.names.quantized == stored);
        if let Some(row) = row.filter(|row| row.names.dequantized.is_empty() || row.tensor == output) {
            row.names.dequantized = output.to_owned();
            row.names.dequantize_node = node.name().to_owned();
            let mut written = row.written.as_deref().cloned().unwrap_or_default();
            written.dequantize = Some(node.clone());
            row.written = Some(Arc::new(written));
        }
        self.hand_on(output, &real);
    }

    /// Readers of `value` read `real` from now on; a value that is seen from outside is made of it.
    fn hand_on(&mut self, value: &str, real: &str) {
        if value == real {
            return;
        }
        self.aliases.insert(value.to_owned(), real.to_owned());
        if self.plan.external.contains(value) {
            self.nodes.push(identity(real, value));
        }
    }

    /// A lifted `QuantizeLinear`: a row on the value it reads, or on a copy of that where the value has other readers
    /// or a row already.
    fn quantize(&mut self, node: &NodeProto, grid: &Grid) -> Result<(), TableError> {
        self.consume(node);
        let (value, stored) = (node.input_name(0).unwrap_or_default(), node.output_name(0).unwrap_or_default());
        let known = self.made.get(value).into_iter().flatten().find(|(made, _)| made == grid);
        if let Some((_, tensor)) = known {
            self.reals.insert(stored.to_owned(), tensor.clone());
            return Ok(());
        }
        let source = self.read(value);
        let float = self.document.constant(value).transpose()?;
        let alone = source == value && !self.plan.external.contains(value) && self.only_quantized(value, grid);
        let outside = self.plan.outside(stored);
        let made_here = self.document.index().producer(value).is_some();
        let (tensor, copied) = match (alone, outside) {
            (true, None) => (source, None),
            (true, Some(outside)) if made_here => {
                self.rename(&source, outside);
                (outside.to_owned(), None)
            }
            (_, outside) => {
                let copy = match outside.filter(|_| float.is_none()) {
                    Some(outside) => outside.to_owned(),
                    None => self.copy_name(value, stored),
                };
                match self.document.graph().initializer.iter().find(|tensor| tensor.name() == value) {
                    Some(tensor) => self.added.push(TensorProto { name: Some(copy.clone()), ..tensor.clone() }),
                    None => self.nodes.push(identity(&source, &copy)),
                }
                (copy, Some(source))
            }
        };
        let mut row = Row::new(tensor.clone(), TensorKind::Activation, grid.clone());
        row.source = copied;
        row.names.quantized = stored.to_owned();
        row.names.quantize_node = node.name().to_owned();
        self.name_scale(&mut row, [node.input_name(1), node.input_name(2)], Some(node), None);
        if self.document.index().initializer(value).is_some()
            && let Some(float) = float
        {
            row.kind = self.kinds.get(stored).copied().unwrap_or(TensorKind::Constant);
            row.constant = Some(ConstantData { quantized_in_graph: true, ..ConstantData::new(float) });
            row.channel_axis = self.weight_axis(stored);
            if row.channel_axis.is_some() && row.kind == TensorKind::Constant {
                row.kind = TensorKind::Weight;
            }
        }
        if row.kind == TensorKind::Activation && grid.params.granularity != crate::quant::Granularity::PerTensor {
            row.channel_axis = axis_of(grid);
        }
        self.made.entry(value.to_owned()).or_default().push((grid.clone(), tensor.clone()));
        self.reals.insert(stored.to_owned(), tensor);
        self.add_row(row, value);
        Ok(())
    }

    /// The name of a copy of a value whose integers are `stored`: that of the file's own rounded value, which is gone
    /// from the float graph.
    fn copy_name(&mut self, value: &str, stored: &str) -> String {
        let free = |name: &str| !self.row_at.contains_key(name) && !self.plan.external.contains(name);
        match self.dequantized(stored).first().filter(|name| free(name)) {
            Some(name) => (*name).to_owned(),
            None => self.names.fresh(&format!("{value}_copy")),
        }
    }

    /// What lifted `DequantizeLinear` nodes make of an integer value.
    fn dequantized(&self, stored: &str) -> Vec<&'a str> {
        let readers = self.document.index().consumers(stored).iter();
        readers
            .filter(|slot| matches!(self.plan.parts.get(&slot.node), Some(Part::Dequantize)))
            .filter_map(|slot| self.document.node(slot.node)?.output_name(0))
            .collect()
    }

    /// Whether every reader of a value is a lifted `QuantizeLinear` with this grid.
    fn only_quantized(&self, value: &str, grid: &Grid) -> bool {
        self.document.index().consumers(value).iter().all(|slot| {
            matches!(self.plan.parts.get(&slot.node), Some(Part::Quantize(other)) if slot.position == 0 && other == grid)
        })
    }

    /// Gives a value that a node of the float graph makes another name.
    fn rename(&mut self, from: &str, to: &str) {
        let values = self.nodes.iter_mut().flat_map(|node| node.input.iter_mut().chain(node.output.iter_mut()));
        values.filter(|value| *value == from).for_each(|value| *value = to.to_owned());
    }

    /// An operator that hands integers on as they are: the same on reals.
    fn transparent(&mut self, node: &NodeProto) {
        let mut copy = node.clone();
        let real = node.input_name(0).and_then(|stored| self.real_of(stored)).unwrap_or_default();
        for (position, input) in copy.input.iter_mut().enumerate() {
            *input = if position == 0 { real.clone() } else { self.read(input) };
        }
        for output in copy.output.iter_mut().filter(|output| self.plan.grids.contains_key(*output)) {
            let name = self.real_name(output);
            self.reals.insert(output.clone(), name.clone());
            *output = name;
        }
        if let Some(output) = copy.output_name(0) {
            self.written.operators.insert(output.to_owned(), node.clone());
        }
        self.nodes.push(copy);
    }

    /// A name for the reals of an integer value: the outside's, or the integers' own name as ONNX Runtime's quantizer
    /// made it from the float name.
    fn real_name(&mut self, stored: &str) -> String {
        if let Some(outside) = self.plan.outside(stored) {
            return outside.to_owned();
        }
        let dequantized = self.dequantized(stored);
        // ONNX Runtime's quantizer names what a Split gives without the underscore.
        let stripped = stored.strip_suffix("quantized").map(|name| name.strip_suffix('_').unwrap_or(name));
        if let Some(stripped) = stripped.filter(|name| !name.is_empty())
            && (self.names.is_free(stripped) || dequantized.contains(&stripped))
        {
            self.names.take(stripped);
            return stripped.to_owned();
        }
        match dequantized.first() {
            Some(name) => (*name).to_owned(),
            None => self.names.fresh(&format!("{stored}_real")),
        }
    }

    /// Notes the constants that a lifted node has read.
    fn consume(&mut self, node: &NodeProto) {
        let constants = node.input.iter().filter(|name| self.document.is_constant(name));
        self.consumed.extend(constants.cloned());
    }

    /// Enters the messages that say a row's scale and zero point.
    fn name_scale(
        &self,
        row: &mut Row,
        [scale, zero_point]: [Option<&str>; 2],
        quantize: Option<&NodeProto>,
        dequantize: Option<&NodeProto>,
    ) {
        row.names.scale = scale.unwrap_or_default().to_owned();
        row.names.zero_point = zero_point.unwrap_or_default().to_owned();
        let message = |name: Option<&str>| {
            let name = name?;
            let made = self.document.constant_proto(&self.document.origin(name))?;
            Some(TensorProto { name: Some(name.to_owned()), ..made.clone() })
        };
        row.written = Some(Arc::new(WrittenRow {
            grid: Some(row.grid.clone()),
            scale: message(scale),
            zero_point: message(zero_point),
            stored: None,
            quantize: quantize.cloned(),
            dequantize: dequantize.cloned(),
        }));
    }

    fn add_row(&mut self, row: Row, origin: &str) {
        self.row_at.insert(row.tensor.clone(), self.rows.len());
        self.rows.push(row);
        self.origins.push(origin.to_owned());
    }

    /// Settles what needs the whole float graph, and puts the document together.
    fn finish(mut self) -> Result<Lifted, TableError> {
        self.find_absorbed();
        self.find_biases();
        let operators = self.plan.parts.values().any(|part| matches!(part, Part::Operator(_)));
        let read: HashSet<&str> = self.nodes.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let external = &self.plan.external;
        let gone = |name: &str| self.consumed.contains(name) && !read.contains(name) && !external.contains(name);
        let mut proto = self.document.proto().clone();
        let Some(graph) = proto.graph.as_mut() else { return Err(TableError::row("", "the model has no graph")) };
        graph.initializer.retain(|tensor| !gone(tensor.name()));
        graph.initializer.extend(self.added.iter().cloned());
        let (kept, removed): (Vec<_>, Vec<_>) = graph.input.drain(..).partition(|input| !gone(input.name()));
        graph.input = kept;
        self.written.inputs = removed;
        graph.node = self.nodes.iter().filter(|node| !node.output_name(0).is_some_and(gone)).cloned().collect();
        let float_nodes = if operators { self.float_nodes() } else { BTreeSet::new() };
        let table = QuantTable {
            rows: self.rows,
            format: if operators { TableFormat::QOperator } else { TableFormat::Qdq },
            float_nodes,
            written: Arc::new(self.written),
        };
        let float = self.document.with_proto(proto)?;
        Ok(Lifted { float, table, as_written: self.plan.as_written.clone(), notes: self.notes })
    }

    /// Nodes that the file has as float nodes, by their first output; copies that lifting made are none.
    fn float_nodes(&self) -> BTreeSet<String> {
        let copies: HashSet<&str> =
            self.rows.iter().filter(|row| row.source.is_some()).map(|row| row.tensor.as_str()).collect();
        let outputs = self.nodes.iter().filter_map(|node| node.output_name(0));
        let float = |output: &&str| !self.written.operators.contains_key(*output) && !copies.contains(output);
        outputs.filter(float).map(str::to_owned).collect()
    }

    fn find_absorbed(&mut self) {
        let ops: HashMap<&str, &str> = self
            .nodes
            .iter()
            .flat_map(|node| node.output.iter().map(move |output| (output.as_str(), node.op_type())))
            .collect();
        for (row, origin) in self.rows.iter_mut().zip(&self.origins) {
            if row.kind != TensorKind::Activation || row.mode != super::RowMode::Fixed {
                continue;
            }
            let value = row.source.as_deref().unwrap_or(&row.tensor);
            row.absorbed = match self.variant.and_then(|variant| variant.absorbed.get(origin)) {
                Some(known) => known.and_then(|clamp| absorbed::confirmed(clamp, row)),
                None => ops.get(value).and_then(|op| absorbed::guess(op, row)),
            };
        }
    }
}

/// The axis of a grid that has one.
fn axis_of(grid: &Grid) -> Option<usize> {
    match grid.params.granularity {
        crate::quant::Granularity::PerTensor => None,
        crate::quant::Granularity::PerChannel { axis } | crate::quant::Granularity::Blocked { axis, .. } => Some(axis),
    }
}

/// A node that copies a value.
fn identity(from: &str, to: &str) -> NodeProto {
    NodeProto {
        op_type: Some("Identity".to_owned()),
        name: Some(format!("{to}_Identity")),
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        ..Default::default()
    }
}
