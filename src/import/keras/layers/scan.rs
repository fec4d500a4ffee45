//! A recurrent layer as a `Scan` over its own equations.

use super::activation::{Emit, Function};
use super::recurrent::{Cell, CellWeights, Recurrent, Run};
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::Value;
use crate::onnx::{Attr, Dim, GraphBuilder};
use crate::tensor::{DType, Tensor};

/// Runs over (time, batch, width) and gives the sequence as (time, batch, units).
pub(super) fn run(
    context: &mut Context,
    layer: &Recurrent,
    by_time: &str,
    initial: &[Value],
    mask: Option<&str>,
    flipped: bool,
    weights: CellWeights,
) -> Result<Run, Stop> {
    let units = layer.units;
    let CellWeights { kernel, recurrent, input_bias, state_bias } = weights;
    let kernel = context.constant("kernel", |_| Ok(kernel))?;
    let recurrent = context.constant("recurrent_kernel", |_| Ok(recurrent))?;
    let input_bias = context.constant("bias", |_| Ok(Tensor::from_vec(vec![input_bias.len()], input_bias)?))?;
    let state_bias = match layer.cell == Cell::Gru && layer.reset_after {
        true => {
            Some(context.constant("recurrent_bias", |_| Ok(Tensor::from_vec(vec![state_bias.len()], state_bias)?))?)
        }
        false => None,
    };
    // What does not depend on the state is computed for all steps at once.
    let product = context.node("MatMul", &[by_time, &kernel], "input", &[]);
    let projected = context.node("Add", &[&product, &input_bias], "input", &[]);
    let states = if layer.cell == Cell::Lstm { 2 } else { 1 };
    let mut inputs: Vec<String> = initial.iter().map(|state| state.name.clone()).collect();
    if inputs.is_empty() {
        inputs = vec![zeros(context, by_time, units)?; states];
    }
    inputs.push(projected);
    if let Some(mask) = mask {
        let by_time = context.node("Transpose", &[mask], "mask", &[("perm", vec![1i64, 0].into())]);
        let axes = context.ints("axes", &[2])?;
        inputs.push(context.node("Unsqueeze", &[&by_time, &axes], "mask", &[]));
    }
    let prefix = format!("{}/step", context.path);
    let body = body(context, layer, &prefix, &recurrent, state_bias.as_deref(), mask.is_some())?;
    let scanned = inputs.len() - states;
    let direction = i64::from(layer.backwards);
    let attributes: [(&str, Attr); 4] = [
        ("body", Attr::Graph(Box::new(body))),
        ("num_scan_inputs", (scanned as i64).into()),
        ("scan_input_directions", vec![direction; scanned].into()),
        ("scan_output_directions", vec![i64::from(layer.backwards && flipped)].into()),
    ];
    let path = &context.path;
    let wishes: Vec<String> =
        (0..states).map(|state| format!("{path}/state_{state}")).chain([format!("{path}/sequence")]).collect();
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let mut outputs = context.low.builder.node_of("", "Scan", &inputs, &wishes, &attributes);
    let sequence = outputs.pop();
    let last = outputs.first().cloned().unwrap_or_default();
    Ok(Run { sequence, last, states: outputs })
}

/// A state of zeros for the batch at hand.
fn zeros(context: &mut Context, by_time: &str, units: usize) -> Result<String, Stop> {
    let shape = context.node("Shape", &[by_time], "Shape", &[]);
    let at = context.ints("batch", &[1])?;
    let batch = context.node("Gather", &[&shape, &at], "batch", &[("axis", 0i64.into())]);
    let units = context.ints("units", &[units as i64])?;
    let shape = context.node("Concat", &[&batch, &units], "state_shape", &[("axis", 0i64.into())]);
    Ok(context.node("ConstantOfShape", &[&shape], "zeros", &[]))
}

/// One step: states and the step's projected input (and whether it counts) to the new states and the result.
fn body(
    context: &Context,
    layer: &Recurrent,
    prefix: &str,
    recurrent: &str,
    state_bias: Option<&str>,
    masked: bool,
) -> Result<crate::onnx::proto::GraphProto, Stop> {
    let mut builder = GraphBuilder::new(prefix, context.low.builder.opset());
    let units = layer.units;
    let row = |width: usize| [Dim::Unknown, Dim::Known(width)];
    let hidden = builder.input(&format!("{prefix}/hidden"), DType::Float32, Some(&row(units)));
    let carry = (layer.cell == Cell::Lstm)
        .then(|| builder.input(&format!("{prefix}/carry"), DType::Float32, Some(&row(units))));
    let projected = format!("{prefix}/input");
    let projected = builder.input(&projected, DType::Float32, Some(&row(units * layer.cell.gates())));
    let mask = masked.then(|| builder.input(&format!("{prefix}/mask"), DType::Bool, Some(&row(1))));
    let mut step = Step { emit: Emit { builder: &mut builder, prefix, major: context.low.major }, layer };
    let (new_hidden, new_carry) = match layer.cell {
        Cell::Simple => {
            let product = step.emit.node("MatMul", &[&hidden, recurrent], &[]);
            let sum = step.emit.node("Add", &[&projected, &product], &[]);
            (step.function(&layer.activation, &sum)?, None)
        }
        Cell::Gru => (step.gru(&hidden, &projected, recurrent, state_bias)?, None),
        Cell::Lstm => {
            let (hidden, carry) = step.lstm(&hidden, carry.as_deref().unwrap_or_default(), &projected, recurrent)?;
            (hidden, Some(carry))
        }
    };
    let kept = |step: &mut Step, new: String, old: &str| match &mask {
        Some(mask) => step.emit.node("Where", &[mask, &new, old], &[]),
        None => step.emit.node("Identity", &[&new], &[]),
    };
    let next_hidden = kept(&mut step, new_hidden.clone(), &hidden);
    let next_carry = new_carry.map(|new| kept(&mut step, new, carry.as_deref().unwrap_or_default()));
    let result = match &mask {
        Some(mask) if layer.zero_output => {
            let zero = step.emit.scalar("zero", 0.0)?;
            step.emit.node("Where", &[mask, &new_hidden, &zero], &[])
        }
        _ => step.emit.node("Identity", &[&next_hidden], &[]),
    };
    for name in [Some(next_hidden), next_carry, Some(result)].into_iter().flatten() {
        builder.output(&name, DType::Float32, Some(&row(units)));
    }
    Ok(builder.graph().clone())
}

struct Step<'s, 'b> {
    emit: Emit<'b>,
    layer: &'s Recurrent,
}

impl Step<'_, '_> {
    fn function(&mut self, function: &Function, x: &str) -> Result<String, Stop> {
        match function {
            Function::Named(name) => self.emit.named(x, name, -1),
            other => unsupported(format!("{other:?} inside of a recurrent layer")),
        }
    }

    /// A gate's columns.
    fn gate(&mut self, x: &str, gate: usize, count: usize) -> Result<String, Stop> {
        let units = self.layer.units as i64;
        let ends = [gate as i64 * units, (gate + count) as i64 * units];
        let mut constant = |name: &str, value: i64| {
            let wish = format!("{}/{name}", self.emit.prefix);
            self.emit.builder.ints(&wish, &[value])
        };
        let (start, end, axis) = (constant("start", ends[0])?, constant("end", ends[1])?, constant("axis", 1)?);
        Ok(self.emit.node("Slice", &[x, &start, &end, &axis], &[]))
    }

    fn lstm(&mut self, hidden: &str, carry: &str, projected: &str, recurrent: &str) -> Result<(String, String), Stop> {
        let layer = self.layer;
        let product = self.emit.node("MatMul", &[hidden, recurrent], &[]);
        let all = self.emit.node("Add", &[projected, &product], &[]);
        let mut gates = Vec::new();
        for gate in 0..4 {
            let sum = self.gate(&all, gate, 1)?;
            let function = if gate == 2 { &layer.activation } else { &layer.recurrent_activation };
            gates.push(self.function(function, &sum)?);
        }
        let [input, forget, candidate, output] = gates.as_slice() else { return unsupported("a cell of other gates") };
        let old = self.emit.node("Mul", &[forget, carry], &[]);
        let new = self.emit.node("Mul", &[input, candidate], &[]);
        let carry = self.emit.node("Add", &[&old, &new], &[]);
        let shown = self.function(&layer.activation, &carry)?;
        Ok((self.emit.node("Mul", &[output, &shown], &[]), carry))
    }

    fn gru(
        &mut self,
        hidden: &str,
        projected: &str,
        recurrent: &str,
        state_bias: Option<&str>,
    ) -> Result<String, Stop> {
        let layer = self.layer;
        let input_update = self.gate(projected, 0, 1)?;
        let input_reset = self.gate(projected, 1, 1)?;
        let input_new = self.gate(projected, 2, 1)?;
        // Without reset_after only the first two gates see the state as it is.
        let (update, reset, candidate) = if let Some(bias) = state_bias {
            let product = self.emit.node("MatMul", &[hidden, recurrent], &[]);
            let all = self.emit.node("Add", &[&product, bias], &[]);
            (self.gate(&all, 0, 1)?, self.gate(&all, 1, 1)?, Some(self.gate(&all, 2, 1)?))
        } else {
            let weights = self.gate(recurrent, 0, 2)?;
            let all = self.emit.node("MatMul", &[hidden, &weights], &[]);
            (self.gate(&all, 0, 1)?, self.gate(&all, 1, 1)?, None)
        };
        let update = self.emit.node("Add", &[&input_update, &update], &[]);
        let update = self.function(&layer.recurrent_activation, &update)?;
        let reset = self.emit.node("Add", &[&input_reset, &reset], &[]);
        let reset = self.function(&layer.recurrent_activation, &reset)?;
        let seen = match candidate {
            Some(candidate) => self.emit.node("Mul", &[&reset, &candidate], &[]),
            None => {
                let weights = self.gate(recurrent, 2, 1)?;
                let state = self.emit.node("Mul", &[&reset, hidden], &[]);
                self.emit.node("MatMul", &[&state, &weights], &[])
            }
        };
        let new = self.emit.node("Add", &[&input_new, &seen], &[]);
        let new = self.function(&layer.activation, &new)?;
        // h' = z * h + (1 - z) * new
        let kept = self.emit.node("Mul", &[&update, hidden], &[]);
        let one = self.emit.scalar("one", 1.0)?;
        let rest = self.emit.node("Sub", &[&one, &update], &[]);
        let added = self.emit.node("Mul", &[&rest, &new], &[]);
        Ok(self.emit.node("Add", &[&kept, &added], &[]))
    }
}
