//! A float graph and a table put together into a quantized document.
//!
//! The nodes are written in order. A row's value is quantized behind its maker, its readers read it dequantized; in
//! QOperator form a QLinear operator makes the integers, where there is one that says exactly what the rows say.

use super::error::TableError;
use super::grid::Grid;
use super::names::Names;
use super::row::{Clamp, QuantTable, Row, RowMode, RowNames, TableFormat};
use crate::onnx::proto::{NodeProto, OperatorSetIdProto, TensorProto, type_proto};
use crate::onnx::{Document, Facts, NodeExt, is_quantize, tensor_to_proto};
use crate::tensor::{DType, Tensor};
pub use operator::has_integer_form;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

mod clip;
mod dynamic;
mod linear;
mod operator;

/// A table written as a document.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The document.
    pub document: Document,
    /// Where the document has each row, by [`Row::tensor`]: the integers of a row that is on with its scale and zero
    /// point; of a row that is off, in `dequantized`, the value that its readers read. Constants that nothing reads are
    /// missing.
    pub names: HashMap<String, RowNames>,
}

/// Writes a table into its float graph. Names, metadata, operator sets and everything untouched stay; rows that a file
/// had get their names and messages back, others get names by ONNX Runtime's convention. A row that is off leaves no
/// trace but the activation function that its saturation stood for.
///
/// Fails where the document has issues, a row's grid is invalid or does not fit its tensor.
pub fn lower(float: &Document, table: &QuantTable, format: TableFormat) -> Result<Document, TableError> {
    lower_named(float, table, format).map(|lowered| lowered.document)
}

/// The same, with the names that the rows have got.
pub fn lower_named(float: &Document, table: &QuantTable, format: TableFormat) -> Result<Lowered, TableError> {
    let float = match float.is_self_contained() {
        true => Cow::Borrowed(float),
        false => Cow::Owned(float.inlined()?),
    };
    if let Some(issue) = float.issues().first() {
        return Err(issue.clone().into());
    }
    let facts = Facts::of(&float);
    let mut lower = Lower::new(&float, &facts, table, format)?;
    lower.start()?;
    for &position in float.index().order() {
        if let Some(node) = float.node(position) {
            lower.node(node)?;
        }
    }
    let names = lower.row_names();
    lower.finish().map(|document| Lowered { document, names })
}

/// A value as integers.
#[derive(Clone, Debug)]
struct Integers {
    /// Its name.
    name: String,
    scale: String,
    /// `None` where it is left out.
    zero_point: Option<String>,
    grid: Grid,
    /// `tensor` of the row that it comes from.
    row: String,
}

/// The state of writing the quantized document.
struct Lower<'a> {
    float: &'a Document,
    facts: &'a Facts,
    table: &'a QuantTable,
    format: TableFormat,
    rows: HashMap<&'a str, &'a Row>,
    /// Graph outputs and what subgraphs capture.
    external: HashSet<&'a str>,
    /// Names of the float graph, as far as they stay.
    kept: Names,
    /// Those, and every name that a row has or lowering has made.
    names: Names,
    /// Names that rows had in their file and have been given back.
    given: HashSet<String>,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    tensor_at: HashMap<String, usize>,
    /// What the readers of a float value read.
    seen: HashMap<String, String>,
    integers: HashMap<String, Integers>,
    /// Names that nodes write in place of a value's own, which its rounding makes.
    raws: HashMap<String, String>,
    /// Values that nodes write under their own names, not rounded.
    own_names: HashSet<String>,
    /// `DequantizeLinear` nodes of integers that no row makes, by their output, and those not written yet: a float
    /// reader asks for them.
    foreign: HashMap<&'a str, &'a NodeProto>,
    unwritten: HashSet<&'a str>,
    /// Integers for nodes left as written that are there already: the node that makes them again is not needed.
    moved: HashSet<String>,
    /// Names of scale and zero point by row.
    scales: HashMap<String, (String, Option<String>)>,
    /// Element types of integer values that were made.
    dtypes: HashMap<String, DType>,
    /// Whether a node of com.microsoft was written.
    contrib: bool,
}

impl<'a> Lower<'a> {
    fn new(
        float: &'a Document,
        facts: &'a Facts,
        table: &'a QuantTable,
        format: TableFormat,
    ) -> Result<Self, TableError> {
        let rows: HashMap<&str, &Row> = table.rows.iter().map(|row| (row.tensor.as_str(), row)).collect();
        let graph = float.graph();
        let mut lower = Lower {
            float,
            facts,
            table,
            format,
            rows,
            external: graph.output.iter().map(|output| output.name()).collect(),
            kept: Names::default(),
            names: Names::default(),
            given: HashSet::new(),
            nodes: Vec::new(),
            tensors: Vec::new(),
            tensor_at: HashMap::new(),
            seen: HashMap::new(),
            integers: HashMap::new(),
            raws: HashMap::new(),
            own_names: float.inputs().map(|input| input.name().to_owned()).collect(),
            foreign: HashMap::new(),
            unwritten: HashSet::new(),
            moved: HashSet::new(),
            scales: HashMap::new(),
            dtypes: HashMap::new(),
            contrib: false,
        };
        for node in 0..graph.node.len() {
            lower.external.extend(float.index().captured(node).iter().map(String::as_str));
        }
        lower.kept = Names::of(graph);
        lower.names = lower.kept.clone();
        let by_rows: Vec<&NodeProto> = graph.node.iter().filter(|node| lower.is_kept_quantizer(node)).collect();
        by_rows.iter().filter_map(|node| node.output_name(0)).for_each(|output| lower.kept.release(output));
        // A copy that lifting made for a dynamic row has the name of the row's integers.
        let copies = table.rows.iter().filter(|row| row.source.is_some() && row.tensor == row.names.quantized);
        let copies: Vec<&str> = copies.map(|row| row.tensor.as_str()).collect();
        for row in &table.rows {
            let shape = facts.get(&row.tensor).and_then(|fact| fact.known_shape());
            let known = row.constant.as_ref().map(|constant| constant.float.shape().to_vec()).or(shape);
            if row.mode == RowMode::Fixed {
                row.grid.check(known.as_deref()).map_err(|error| TableError::row(&row.tensor, error.to_string()))?;
            }
            if lower.kept.is_free(&row.tensor) {
                return Err(TableError::row(&row.tensor, "the float graph has no such value"));
            }
            let names = &row.names;
            for name in [&names.scale, &names.zero_point, &names.quantized, &names.dequantized] {
                lower.names.take(name);
            }
        }
        copies.into_iter().for_each(|copy| lower.kept.release(copy));
        Ok(lower)
    }

    /// Whether a node is the `QuantizeLinear` that lifting kept for nodes left as written, and the row makes these
    /// integers itself.
    fn is_kept_quantizer(&self, node: &NodeProto) -> bool {
        let row = node.input_name(0).and_then(|input| self.rows.get(input)).filter(|_| is_quantize(node));
        row.is_some_and(|row| {
            let unedited = row.written.as_ref().is_some_and(|written| written.grid.as_ref() == Some(&row.grid));
            row.enabled && unedited && node.output_name(0) == Some(row.names.quantized.as_str())
        })
    }

    /// Initializers, the parameters of rows that are as their file had them (so that they get their names first), and
    /// rows on graph inputs.
    fn start(&mut self) -> Result<(), TableError> {
        let float = self.float;
        for tensor in &float.graph().initializer {
            let row = self.rows.get(tensor.name()).filter(|row| row.enabled && row.constant.is_some());
            let in_graph = |row: &&&Row| row.source.is_none() && self.stays_float(row);
            if row.is_none() || row.filter(in_graph).is_some() {
                self.put(tensor.clone());
            }
        }
        let table = self.table;
        let unedited = |row: &&Row| row.written.as_ref().is_some_and(|it| it.grid.as_ref() == Some(&row.grid));
        for row in table.rows.iter().filter(|row| row.enabled && row.mode == RowMode::Fixed).filter(unedited) {
            self.scale_of(row)?;
        }
        for input in float.inputs() {
            self.made(input.name())?;
        }
        let captured = table.rows.iter().filter(|row| row.constant.is_some() && self.external.contains(&*row.tensor));
        let captured: Vec<&str> = captured.map(|row| row.tensor.as_str()).collect();
        for tensor in captured {
            self.read(tensor)?;
        }
        Ok(())
    }

    /// Whether a constant is written as floats with a `QuantizeLinear` behind them.
    fn stays_float(&self, row: &Row) -> bool {
        row.constant.as_ref().is_some_and(|constant| constant.quantized_in_graph) && row.grid.uses_all_codes()
    }

    fn node(&mut self, node: &'a NodeProto) -> Result<(), TableError> {
        let made_again = is_quantize(node) && node.output_name(0).is_some_and(|output| self.moved.contains(output));
        if made_again || self.is_kept_quantizer(node) || self.copies_for_row(node)? || self.foreign_integers(node)? {
            return Ok(());
        }
        let as_operator = self.format == TableFormat::QOperator;
        let done = self.dynamic(node)? || (as_operator && (self.operator(node)? || self.transparent(node)?));
        if done {
            return Ok(());
        }
        let mut copy = node.clone();
        for input in copy.input.iter_mut().filter(|input| !input.is_empty()) {
            *input = self.read(input)?;
        }
        for output in copy.output.iter_mut().filter(|output| !output.is_empty()) {
            *output = self.raw_name(output);
        }
        self.nodes.push(copy);
        for output in node.output.iter().filter(|output| !output.is_empty()) {
            self.made(output)?;
        }
        Ok(())
    }

    /// A copy that lifting made for a row: the row is quantized from the value itself.
    fn copies_for_row(&mut self, node: &NodeProto) -> Result<bool, TableError> {
        let Some((output, row)) = node.output_name(0).and_then(|output| Some((output, *self.rows.get(output)?))) else {
            return Ok(false);
        };
        let copies =
            node.op_type() == "Identity" && row.source.is_some() && row.source.as_deref() == node.input_name(0);
        if !copies || (!row.enabled && row.absorbed.is_none() && self.external.contains(output)) {
            return Ok(false);
        }
        let source = self.read(row.source.as_deref().unwrap_or_default())?;
        self.write_rounded(row, source)?;
        Ok(true)
    }

    /// The name under which a node writes a value: another one where what the outside sees is the rounded value.
    fn raw_name(&mut self, value: &str) -> String {
        let Some(row) = self.rows.get(value).filter(|row| self.makes_outside(row)) else {
            self.own_names.insert(value.to_owned());
            return value.to_owned();
        };
        let written = row.written.as_ref().and_then(|written| written.quantize.as_ref()?.input_name(0));
        let wish = written.map_or_else(|| format!("{value}_QuantizeLinear_Input"), str::to_owned);
        let name = if wish == value { format!("{value}_QuantizeLinear_Input") } else { wish };
        let name = self.names.fresh(&name);
        self.raws.insert(value.to_owned(), name.clone());
        name
    }

    /// Whether a row's rounding or clamping makes a value that is seen from outside.
    fn makes_outside(&self, row: &Row) -> bool {
        self.external.contains(row.tensor.as_str()) && (row.enabled || row.absorbed.is_some())
    }

    /// Rounds a value that has just been made, where it has a row.
    fn made(&mut self, value: &str) -> Result<(), TableError> {
        let Some(row) = self.rows.get(value).copied().filter(|row| row.constant.is_none()) else { return Ok(()) };
        let raw = self.raws.get(value).cloned().unwrap_or_else(|| value.to_owned());
        self.write_rounded(row, raw)
    }

    /// Writes clamp, clip, `QuantizeLinear` and `DequantizeLinear` of a row behind `raw`.
    fn write_rounded(&mut self, row: &Row, raw: String) -> Result<(), TableError> {
        let mut value = raw;
        let outside = self.external.contains(row.tensor.as_str());
        if let Some(clamp) = row.absorbed.filter(|_| !row.enabled || !row.covers_absorbed()) {
            let name = (!row.enabled && outside && value != row.tensor).then_some(row.tensor.as_str());
            value = self.clamp(row, &value, clamp, name)?;
        }
        if !row.enabled {
            self.see(&row.tensor, value);
            return Ok(());
        }
        if row.mode == RowMode::Dynamic {
            return self.quantize_dynamic(row, value);
        }
        if !row.grid.uses_all_codes() {
            value = self.clip(row, &value)?;
        }
        let integers = self.quantize(row, &value)?;
        self.integers.insert(row.tensor.clone(), integers);
        if self.format == TableFormat::Qdq || outside {
            let output = self.dequantize(row, &value)?;
            self.see(&row.tensor, output);
        }
        Ok(())
    }

    fn see(&mut self, value: &str, name: String) {
        self.seen.insert(value.to_owned(), name);
    }

    /// What a float reader of a value reads; integers are dequantized on first demand.
    fn read(&mut self, value: &str) -> Result<String, TableError> {
        if let Some(name) = self.seen.get(value) {
            return Ok(name.clone());
        }
        if let Some(row) = self.rows.get(value).copied().filter(|row| row.enabled) {
            if row.constant.is_some() && !self.integers.contains_key(value) {
                self.constant(row)?;
            }
            if self.integers.contains_key(value) {
                let output = self.dequantize(row, "")?;
                self.see(value, output.clone());
                return Ok(output);
            }
        }
        if let Some(integers) = self.integers.get(value).cloned() {
            // Integers that were only moved, or that no row makes: their reals have the float graph's own name.
            match self.foreign.get(value).filter(|_| self.unwritten.remove(value)) {
                Some(node) => {
                    let input = [Some(integers.name), Some(integers.scale), integers.zero_point];
                    let input = input.into_iter().flatten().collect();
                    self.nodes.push(NodeProto { input, ..(*node).clone() });
                }
                None => self.dequantize_moved(value, &integers),
            }
            self.see(value, value.to_owned());
        }
        Ok(value.to_owned())
    }

    /// In QOperator form: the `DequantizeLinear` of integers that no row makes. Operators read these integers, and it
    /// is written where a float reader asks for it.
    fn foreign_integers(&mut self, node: &'a NodeProto) -> Result<bool, TableError> {
        let Some(output) = node.output_name(0).filter(|output| !self.rows.contains_key(output)) else {
            return Ok(false);
        };
        let (Some(grid), Some(stored), Some(scale), TableFormat::QOperator) =
            (self.table.written.foreign.get(output), node.input_name(0), node.input_name(1), self.format)
        else {
            return Ok(false);
        };
        let zero_point = node.input_name(2).map(|zero_point| self.read(zero_point)).transpose()?;
        let (name, scale) = (self.read(stored)?, self.read(scale)?);
        let integers = Integers { name, scale, zero_point, grid: grid.clone(), row: output.to_owned() };
        self.integers.insert(output.to_owned(), integers);
        self.foreign.insert(output, node);
        self.unwritten.insert(output);
        if self.external.contains(output) {
            self.read(output)?;
        }
        Ok(true)
    }

    /// Where the document has each row.
    fn row_names(&self) -> HashMap<String, RowNames> {
        let name = |row: &Row| {
            let none = RowNames::default();
            if !row.enabled {
                return self.seen.get(&row.tensor).map(|seen| RowNames { dequantized: seen.clone(), ..none });
            }
            let Integers { name, scale, zero_point, .. } = self.integers.get(&row.tensor)?.clone();
            Some(RowNames { quantized: name, scale, zero_point: zero_point.unwrap_or_default(), ..none })
        };
        self.table.rows.iter().filter_map(|row| Some((row.tensor.clone(), name(row)?))).collect()
    }

    /// The integers of a constant row, as an initializer or behind a `QuantizeLinear`.
    fn constant(&mut self, row: &Row) -> Result<(), TableError> {
        if self.stays_float(row) {
            let source = row.source.clone().unwrap_or_else(|| row.tensor.clone());
            let integers = self.quantize(row, &source)?;
            self.integers.insert(row.tensor.clone(), integers);
            return Ok(());
        }
        let codes = row.codes_tensor().ok_or_else(|| TableError::row(&row.tensor, "it is no constant"))??;
        let name = self.tensor(
            &row.names.quantized,
            &format!("{}_quantized", row.tensor),
            &codes,
            row.written.as_ref().and_then(|written| written.stored.as_ref()),
        );
        let (scale, zero_point) = self.scale_of(row)?;
        let grid = row.grid.clone();
        let integers = Integers { name, scale, zero_point, grid, row: row.tensor.clone() };
        self.integers.insert(row.tensor.clone(), integers);
        Ok(())
    }

    /// Adds an initializer that is there already in this form.
    fn put(&mut self, tensor: TensorProto) {
        self.tensor_at.insert(tensor.name().to_owned(), self.tensors.len());
        self.tensors.push(tensor);
    }

    /// An initializer with this content under the file's name, else under the conventional one: the same name for the
    /// same content, another one where the name has other content. `written` is given back where its content is equal.
    fn tensor(&mut self, name: &str, convention: &str, content: &Tensor, written: Option<&TensorProto>) -> String {
        let same = |proto: &TensorProto| crate::onnx::tensor_from_proto(proto).is_ok_and(|found| found == *content);
        for wish in [name, convention].into_iter().filter(|wish| !wish.is_empty()) {
            if self.tensor_at.get(wish).and_then(|&at| self.tensors.get(at)).is_some_and(same) {
                return wish.to_owned();
            }
        }
        let name = self.name(name, convention);
        let proto = match written.filter(|written| same(written)) {
            Some(written) => TensorProto { name: Some(name.clone()), ..written.clone() },
            None => tensor_to_proto(&name, content),
        };
        self.put(proto);
        name
    }

    /// The name a row had in its file, where nothing else has it; else a free one like the conventional one.
    fn name(&mut self, written: &str, convention: &str) -> String {
        if !written.is_empty() && self.kept.is_free(written) && self.given.insert(written.to_owned()) {
            return written.to_owned();
        }
        self.names.fresh(convention)
    }

    fn finish(mut self) -> Result<Document, TableError> {
        let mut proto = self.float.proto().clone();
        let Some(graph) = proto.graph.as_mut() else { return Err(TableError::row("", "the model has no graph")) };
        graph.node = std::mem::take(&mut self.nodes);
        graph.initializer = std::mem::take(&mut self.tensors);
        // The parameters of rows that no node quantizes by, and constants that only such nodes read.
        let read: HashSet<&str> = graph.node.iter().flat_map(|node| &node.input).map(String::as_str).collect();
        let index = self.float.index();
        graph.initializer.retain(|tensor| {
            let own = index.initializer(tensor.name()).is_some();
            own || read.contains(tensor.name()) || self.external.contains(tensor.name())
        });
        let left: HashSet<String> = graph.initializer.iter().map(|tensor| tensor.name().to_owned()).collect();
        let made = |name: &str| left.contains(name);
        // A constant that was a float initializer and a graph input is no input any more.
        graph.input.retain(|input| made(input.name()) || self.float.index().initializer(input.name()).is_none());
        graph.input.extend(self.table.written.inputs.iter().filter(|input| made(input.name())).cloned());
        for info in graph.value_info.iter_mut().chain(&mut graph.output) {
            let Some(dtype) = self.dtypes.get(info.name()).copied() else { continue };
            if let Some(type_proto::Value::TensorType(tensor)) = info.r#type.as_mut().and_then(|it| it.value.as_mut()) {
                tensor.elem_type = Some(dtype.to_onnx());
            }
        }
        let known = proto.opset_import.iter().any(|import| import.domain() == "com.microsoft");
        if self.contrib && !known {
            let (domain, version) = (Some("com.microsoft".to_owned()), Some(1));
            proto.opset_import.push(OperatorSetIdProto { domain, version });
        }
        Ok(self.float.with_proto(proto)?)
    }
}
