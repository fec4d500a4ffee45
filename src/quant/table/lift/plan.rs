//! Which nodes can be lifted.

use super::Written;
use super::dynamic::{self, Pattern};
use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, Document, Facts, NodeExt, Operand, Signature, is_dequantize, is_quantize, subgraphs};
use crate::quant::lookup_params::{ScaleUse, read_params};
use crate::quant::table::Grid;
use crate::quant::table::transparent::{compares, moves_integers, pads_with_number};
use crate::quant::{Granularity, Parameters};
use crate::tensor::DType;
use std::collections::{HashMap, HashSet};

/// Position of a product's weight among the inputs of its QLinear form.
const WEIGHT_AT: usize = 3;

/// What becomes of a node.
pub(super) enum Part {
    /// A `QuantizeLinear` whose integers are dequantized again.
    Quantize(Grid),
    /// A `DequantizeLinear` of integers that a lifted node makes.
    Dequantize,
    /// A `DequantizeLinear` of a constant.
    DequantizeConstant(Grid),
    /// A `DequantizeLinear` of integers that a node left as written makes, or that come from outside: it stays, and its
    /// value is the integers' reals. With the reason where that is to be said of it.
    DequantizeForeign(Option<&'static str>),
    /// An operator that moves integers and gives the same on reals.
    Transparent,
    /// A QLinear operator.
    Operator(OperatorParts),
    /// An integer operator with the nodes that quantize and rescale for it; stands at the last of them.
    Dynamic(Box<Pattern>),
    /// One of these nodes.
    Absorbed,
}

/// A QLinear operator's operands and result.
pub(super) struct OperatorParts {
    /// The float operator.
    pub op: String,
    /// For each data input, in the order of the float operator's inputs, its position and its grid; the bias's grid
    /// follows from the others.
    pub operands: Vec<(usize, Grid)>,
    /// Position of an int32 bias.
    pub bias: Option<(usize, Grid)>,
    /// The result's grid and the positions of its scale and zero point.
    pub result: (Grid, usize, usize),
}

/// Value names of a scale and of a zero point, where there is one.
pub(super) type ScaleNames = (String, Option<String>);

/// What becomes of every node.
pub(super) struct Plan {
    pub parts: HashMap<usize, Part>,
    /// Grids of the integer values that lifted nodes make.
    pub grids: HashMap<String, Grid>,
    /// Names of scale and zero point of these values.
    pub scales: HashMap<String, ScaleNames>,
    /// Of the values in `grids` those that nodes left as written make, or that come from outside. Where a lifted node
    /// reads one, a `DequantizeLinear` of it stands in the float graph.
    pub foreign: HashSet<String>,
    /// Grids of stored constants that lifted nodes move, as those who read them in the end say, with the names of scale
    /// and zero point.
    pub constants: HashMap<String, (Grid, ScaleNames)>,
    /// Integer values of lifted nodes that nodes left as written read, or the outside.
    pub needed: HashSet<String>,
    /// Values that are seen from outside the main graph's nodes: graph outputs, and what subgraphs capture.
    pub external: HashSet<String>,
    /// For integer values whose reals are seen from outside: under which name.
    outside: HashMap<String, String>,
    pub as_written: Vec<Written>,
}

/// Operators that compute with integers and scales.
const QUANTIZING: [&str; 8] = [
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeMatMul",
    "MatMulIntegerToFloat",
    "QAttention",
];

/// Whether an operator is one of those the table is about.
fn is_quantizing(node: &NodeProto) -> bool {
    let contrib = node.domain_name() == "com.microsoft";
    (contrib || node.domain_name().is_empty())
        && (QUANTIZING.contains(&node.op_type())
            || Signature::of(node).quantized
            || node.op_type().starts_with("QLinear"))
}

/// Reads grids off nodes.
pub(super) struct Reader<'a> {
    pub document: &'a Document,
    pub facts: &'a Facts,
}

impl Reader<'_> {
    /// The grid that a scale and a zero point say for a tensor; the reason where it is none.
    pub fn grid(
        &self,
        tensor: &[Option<&str>],
        scale: Option<&str>,
        zero_point: Option<&str>,
        how: &ScaleUse,
    ) -> Result<Grid, String> {
        let scale = scale.ok_or("the scale is missing")?;
        let shape = tensor.iter().flatten().find_map(|name| self.facts.shape(name));
        let message = self.document.constant_proto(&self.document.origin(scale));
        if message.is_some_and(|message| message.data_type() != DType::Float32.to_onnx()) {
            return Err("its scale is not float32".to_owned());
        }
        let params = match read_params(self.document, shape, scale, zero_point, how) {
            Parameters::Fixed(params) => params,
            Parameters::AtRunTime { .. } => return Err("its scale or zero point is computed in each run".to_owned()),
            Parameters::NoScale { .. } => return Err("it has no scale".to_owned()),
            Parameters::Unusable(why) => return Err(why),
        };
        let dtype = params.dtype;
        let grid = Grid::of(params).filter(|grid| grid.bits <= 16 || dtype == DType::Int32);
        let grid = grid.ok_or_else(|| format!("{dtype} codes are not in the table"))?;
        let known: Option<Vec<usize>> = shape.and_then(|shape| shape.iter().map(Dim::known).collect());
        match (&grid.params.granularity, &known) {
            // Open dims elsewhere (a batch) leave the channel axis checked by the reading of the parameters.
            (Granularity::PerTensor, _) | (_, Some(_)) => grid.check(known.as_deref()),
            _ => grid.check(None),
        }
        .map_err(|error| error.to_string())?;
        Ok(grid)
    }

    /// The grid of a `QuantizeLinear` or a `DequantizeLinear`.
    pub fn linear(&self, node: &NodeProto, default_dtype: DType) -> Result<Grid, String> {
        let block_size = usize::try_from(node.int("block_size").unwrap_or(0)).unwrap_or(0);
        let how = ScaleUse { axis: node.int("axis").unwrap_or(1), block_size, default_dtype };
        let tensors = [node.input_name(0), node.output_name(0)];
        self.grid(&tensors, node.input_name(1), node.input_name(2), &how)
    }

    /// The grid that a QLinear operator reads one of its operands with.
    pub fn operand(
        &self,
        node: &NodeProto,
        signature: &Signature,
        operand: &Operand,
        stored: &str,
    ) -> Result<Grid, String> {
        let name = |at: Option<usize>| at.and_then(|at| node.input_name(at));
        let transposed = node.int("transB").unwrap_or(0) != 0;
        let how = ScaleUse {
            axis: crate::quant::lookup::operator_axis(&signature.op, operand.role, transposed),
            block_size: 0,
            default_dtype: self.facts.dtype(stored).unwrap_or(DType::Uint8),
        };
        self.grid(&[Some(stored)], name(operand.scale), name(operand.zero_point), &how)
    }
}

impl Plan {
    /// Decides for every node of the main graph.
    pub fn of(document: &Document, facts: &Facts) -> Plan {
        let mut external: HashSet<String> =
            document.graph().output.iter().map(|output| output.name().to_owned()).collect();
        let nodes = 0..document.graph().node.len();
        external.extend(nodes.flat_map(|node| document.index().captured(node).to_vec()));
        let mut plan = Plan {
            parts: HashMap::new(),
            grids: HashMap::new(),
            scales: HashMap::new(),
            foreign: HashSet::new(),
            constants: HashMap::new(),
            needed: HashSet::new(),
            external,
            outside: HashMap::new(),
            as_written: Vec::new(),
        };
        let reader = Reader { document, facts };
        let mut reasons: HashMap<usize, String> = HashMap::new();
        dynamic::find(&reader, &mut plan, &mut reasons);
        for &position in document.index().order() {
            let Some(node) = document.node(position).filter(|_| !plan.parts.contains_key(&position)) else { continue };
            match plan.part(&reader, node) {
                Ok(Some(part)) => {
                    plan.parts.insert(position, part);
                }
                Ok(None) => {}
                Err(reason) => {
                    reasons.entry(position).or_insert(reason);
                }
            }
        }
        plan.drop_unread(document, &mut reasons);
        plan.find_needed(document);
        plan.list_written(document, &reasons);
        plan
    }

    /// The name under which the reals of an integer value are seen from outside.
    pub fn outside(&self, stored: &str) -> Option<&str> {
        self.outside.get(stored).map(String::as_str)
    }

    /// What becomes of one node, from what is known of those before it.
    fn part(&mut self, reader: &Reader<'_>, node: &NodeProto) -> Result<Option<Part>, String> {
        if is_quantize(node) {
            return self.quantize(reader, node).map(Some);
        }
        if is_dequantize(node) {
            return self.dequantize(reader, node).map(Some);
        }
        let signature = Signature::of(node);
        if signature.result.is_some() && signature.quantized {
            return self.operator(reader, node, &signature).map(Some).inspect_err(|_| {
                // What reads its result can be lifted all the same.
                if let (Some(stored), Ok(grid)) = (node.output_name(0), result_grid(reader, node, &signature)) {
                    let (scale, zero_point) = signature.result.unwrap_or_default();
                    self.know_foreign(stored, &grid, [node.input_name(scale), node.input_name(zero_point)]);
                }
            });
        }
        if (moves_integers(node) || compares(node))
            && let Some((grid, scale)) = self.moved(reader, node)
        {
            if grid.params.granularity != Granularity::PerTensor {
                return Err("it moves integers that have several scales".to_owned());
            }
            if pads_with_number(node) {
                self.check_number(reader, node, &grid)?;
            }
            for output in node.output.iter().filter(|output| !output.is_empty() && moves_integers(node)) {
                self.grids.insert(output.clone(), grid.clone());
                self.scales.extend(scale.clone().map(|scale| (output.clone(), scale)));
            }
            return Ok(Some(Part::Transparent));
        }
        let reads = |input: &String| self.grids.contains_key(input) && !self.foreign.contains(input);
        match is_quantizing(node) {
            true => Err("it is none of the operators that can be written as a float operator and rows".to_owned()),
            false if node.input.iter().any(reads) && !matches!(node.op_type(), "Shape" | "Size") => {
                Err("it computes with the integers themselves".to_owned())
            }
            false => Ok(None),
        }
    }

    fn quantize(&mut self, reader: &Reader<'_>, node: &NodeProto) -> Result<Part, String> {
        let (Some(value), Some(stored)) = (node.input_name(0), node.output_name(0)) else {
            return Err("its input or its output is missing".to_owned());
        };
        match reader.facts.dtype(value) {
            None | Some(DType::Float32) => {}
            Some(other) => return Err(format!("it quantizes {other}")),
        }
        let declared = node.int("output_dtype").and_then(|number| DType::from_onnx(i32::try_from(number).ok()?));
        let grid = reader.linear(node, declared.unwrap_or(DType::Uint8))?;
        if grid.bits > 16 {
            return Err(format!("it gives {}", grid.params.dtype));
        }
        self.know(stored, &grid, node.input_name(1), node.input_name(2));
        Ok(Part::Quantize(grid))
    }

    fn dequantize(&mut self, reader: &Reader<'_>, node: &NodeProto) -> Result<Part, String> {
        let stored = node.input_name(0).ok_or("its input is missing")?;
        let declared = node.int("output_dtype").filter(|&number| number != 0);
        if declared.is_some_and(|number| number != i64::from(DType::Float32.to_onnx())) {
            return Err("it does not give float32".to_owned());
        }
        let grid = reader.linear(node, reader.facts.dtype(stored).unwrap_or(DType::Uint8))?;
        if let Some(made) = self.grids.get(stored) {
            if *made != grid {
                return Err("its scale or zero point is not the one its integers were made with".to_owned());
            }
            if self.foreign.contains(stored) {
                return Ok(Part::DequantizeForeign(None));
            }
            if let Some(outside) = node.output_name(0).filter(|output| self.external.contains(*output)) {
                self.outside.entry(stored.to_owned()).or_insert_with(|| outside.to_owned());
            }
            return Ok(Part::Dequantize);
        }
        let outputs = &reader.document.graph().output;
        let seen_outside = node.output_name(0).is_some_and(|made| outputs.iter().any(|output| output.name() == made));
        match reader.document.is_constant(stored) {
            true if seen_outside => Err("a constant that is a graph output keeps its own node".to_owned()),
            true => Ok(Part::DequantizeConstant(grid)),
            false if grid.params.granularity == Granularity::PerTensor => {
                self.know_foreign(stored, &grid, [node.input_name(1), node.input_name(2)]);
                Ok(Part::DequantizeForeign(Some("its integers are made by no quantizing node")))
            }
            false => Err("its integers are made by no quantizing node".to_owned()),
        }
    }

    /// A QLinear operator: integers with the scales they were made with go in.
    fn operator(&mut self, reader: &Reader<'_>, node: &NodeProto, signature: &Signature) -> Result<Part, String> {
        super::operator::check(reader, node, signature)?;
        let mut operands = Vec::new();
        let mut foreign = Vec::new();
        for operand in signature.operands.iter().filter(|operand| operand.scale.is_some()) {
            let stored = node.input_name(operand.position).ok_or("an operand is missing")?;
            let name = |at: Option<usize>| at.and_then(|at| node.input_name(at));
            let grid = reader.operand(node, signature, operand, stored)?;
            match self.grids.get(stored) {
                Some(made) if *made != grid => {
                    return Err(format!("'{stored}' is read with another scale or zero point than it was made with"));
                }
                None if !reader.document.is_constant(stored) => {
                    if grid.params.granularity != Granularity::PerTensor {
                        return Err(format!("'{stored}' is made by no quantizing node and has several scales"));
                    }
                    foreign.push((stored, grid.clone(), [name(operand.scale), name(operand.zero_point)]));
                }
                _ => {}
            }
            operands.push((operand.position, grid));
        }
        let (scale, zero_point) = signature.result.ok_or("it gives no integers")?;
        let stored = node.output_name(0).ok_or("its output is missing")?;
        let result = result_grid(reader, node, signature)?;
        let bias = super::operator::bias(reader, node, signature, &operands)?;
        // Beside integers that no row makes, a row's operator has to be written as it was, or its result is another one.
        if !foreign.is_empty() && !operands.iter().all(|(at, grid)| has_kernel(&signature.op, *at, grid, &result)) {
            return Err("its operands have types or zero points that no operator is written with".to_owned());
        }
        foreign.into_iter().for_each(|(stored, grid, names)| self.know_foreign(stored, &grid, names));
        self.know(stored, &result, node.input_name(scale), node.input_name(zero_point));
        let result = (result, scale, zero_point);
        Ok(Part::Operator(OperatorParts { op: signature.op.clone(), operands, bias, result }))
    }

    fn know(&mut self, stored: &str, grid: &Grid, scale: Option<&str>, zero_point: Option<&str>) {
        self.grids.insert(stored.to_owned(), grid.clone());
        if let Some(scale) = scale {
            self.scales.insert(stored.to_owned(), (scale.to_owned(), zero_point.map(str::to_owned)));
        }
    }

    /// Integers that a node left as written makes, or that come from outside, and the scale they are read with. The
    /// first reader decides.
    fn know_foreign(&mut self, stored: &str, grid: &Grid, [scale, zero_point]: [Option<&str>; 2]) {
        if grid.params.granularity == Granularity::PerTensor && !self.grids.contains_key(stored) {
            self.know(stored, grid, scale, zero_point);
            self.foreign.insert(stored.to_owned());
        }
    }

    /// A node whose integers no lifted node reads makes nothing that could be a row.
    fn drop_unread(&mut self, document: &Document, reasons: &mut HashMap<usize, String>) {
        for &position in document.index().order().iter().rev() {
            let Some(node) = document.node(position) else { continue };
            if !matches!(self.parts.get(&position), Some(Part::Quantize(_) | Part::Transparent)) {
                continue;
            }
            let mut readers = node.output.iter().flat_map(|output| document.index().consumers(output));
            if !compares(node) && !readers.any(|slot| self.parts.contains_key(&slot.node)) {
                self.parts.remove(&position);
                for output in &node.output {
                    self.grids.remove(output);
                    self.scales.remove(output);
                }
                if is_quantize(node) {
                    reasons.insert(position, "its integers are read as integers only".to_owned());
                }
            }
        }
    }

    /// Integer values of lifted nodes that are read as integers by others.
    fn find_needed(&mut self, document: &Document) {
        for stored in self.grids.keys().filter(|stored| !self.foreign.contains(*stored)) {
            let left = document.index().consumers(stored).iter().any(|slot| !self.parts.contains_key(&slot.node));
            if left || self.external.contains(stored) {
                self.needed.insert(stored.clone());
            }
        }
    }

    fn list_written(&mut self, document: &Document, reasons: &HashMap<usize, String>) {
        let mut add = |node: &NodeProto, reason: &str| {
            let name = if node.name().is_empty() { node.output_name(0).unwrap_or_default() } else { node.name() };
            let (node, op) = (name.to_owned(), node.op_type().to_owned());
            self.as_written.push(Written { node, op, reason: reason.to_owned() });
        };
        for &position in document.index().order() {
            let Some(node) = document.node(position) else { continue };
            match self.parts.get(&position) {
                Some(Part::DequantizeForeign(Some(reason))) => add(node, reason),
                Some(_) => {}
                None => reasons.get(&position).into_iter().for_each(|reason| add(node, reason)),
            }
            let mut graphs: Vec<_> = subgraphs(node).collect();
            while let Some(graph) = graphs.pop() {
                for inner in &graph.node {
                    if is_quantizing(inner) {
                        add(inner, "it stands in a subgraph");
                    }
                    graphs.extend(subgraphs(inner));
                }
            }
        }
        let functions = document.proto().functions.iter().flat_map(|function| &function.node);
        functions.filter(|node| is_quantizing(node)).for_each(|node| add(node, "it stands in a function"));
    }
}

/// The grid of a QLinear operator's result.
fn result_grid(reader: &Reader<'_>, node: &NodeProto, signature: &Signature) -> Result<Grid, String> {
    let (scale, zero_point) = signature.result.ok_or("it gives no integers")?;
    let how = ScaleUse { axis: -1, block_size: 0, default_dtype: DType::Uint8 };
    reader.grid(&[node.output_name(0)], node.input_name(scale), node.input_name(zero_point), &how)
}

/// Whether lowering writes a (float) operator's QLinear form with such an operand: the types of operand and result are one, but for a weight's
/// beside uint8, and only a weight has scales per channel, with one zero point for all.
fn has_kernel(op: &str, at: usize, grid: &Grid, result: &Grid) -> bool {
    let weight = at == WEIGHT_AT && matches!(op, "Conv" | "MatMul" | "Gemm");
    let dtype = grid.params.dtype;
    let narrow = matches!(dtype, DType::Int8 | DType::Uint8);
    let types = dtype == result.params.dtype || (weight && narrow && result.params.dtype == DType::Uint8);
    let zero_points = &grid.params.zero_point;
    let one_zero_point = zero_points.iter().all(|zero_point| Some(zero_point) == zero_points.first());
    types && (grid.params.granularity == Granularity::PerTensor || (weight && one_zero_point))
}
