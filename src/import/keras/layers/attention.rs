//! `MultiHeadAttention`.

use super::shape::reshape_to;
use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::import::keras::weights::Part;
use crate::onnx::Attr;
use crate::tensor::{DType, Tensor};

/// What Keras adds to the scores of positions that must not be seen.
const UNSEEN: f32 = -1e9;

const QUERY: Part = Part { folders: &["query_dense", "_query_dense"], component: "query", own_name: None };
const KEY: Part = Part { folders: &["key_dense", "_key_dense"], component: "key", own_name: None };
const VALUE: Part = Part { folders: &["value_dense", "_value_dense"], component: "value", own_name: None };
const OUTPUT: Part =
    Part { folders: &["output_dense", "_output_dense"], component: "attention_output", own_name: None };

/// `MultiHeadAttention`. Over other axes than the one between batch and width it is the same: the axes that it goes over
/// are made one, and the rest belongs to the batch.
pub(super) fn multi_head(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let query = context.single(inputs)?.clone();
    let Some(rank) = query.rank().filter(|rank| *rank > 3) else { return over_time(context, inputs) };
    let default: Vec<i64> = (1..rank as i64 - 1).collect();
    let mut axes = Vec::new();
    for axis in context.config.axes("attention_axes", &default)? {
        let axis = axis.rem_euclid(rank as i64) as usize;
        if !(1..rank - 1).contains(&axis) || axes.contains(&axis) {
            return Err(context.config.wrong("attention_axes", "axes between batch and width"));
        }
        axes.push(axis);
    }
    axes.sort_unstable();
    let masks = ["attention_mask", "query_mask", "value_mask", "key_mask"];
    let is_set = |key: &str| context.keyword_plain(key).and_then(serde_json::Value::as_bool) == Some(true);
    if masks.iter().any(|key| context.keyword(key).is_some()) || is_set("use_causal_mask") || is_set(SCORES) {
        return unsupported("masks or scores of attention over other axes than time");
    }
    let fold = Fold::of(&query, &axes)?;
    let mut given = inputs.to_vec();
    for (position, key) in [(1, "value"), (2, "key")] {
        given.extend(context.keyword(key).filter(|_| given.len() == position));
    }
    let mut folded: Vec<Value> = Vec::new();
    for (at, value) in given.iter().enumerate() {
        let same = given.iter().take(at).position(|other| other.name == value.name);
        folded.push(match same.and_then(|same| folded.get(same)) {
            Some(same) => same.clone(),
            None => Fold::of(value, &axes)?.folded(context, value)?,
        });
    }
    let results = over_time(context, &folded)?;
    results.iter().map(|result| fold.unfolded(context, result)).collect()
}

const SCORES: &str = "return_attention_scores";

/// Axes of a tensor that become one, and those that join the batch.
struct Fold {
    /// The order of the axes: batch, those that join it, those of attention, width.
    order: Vec<usize>,
    dims: Vec<Option<usize>>,
    /// Elements of the axes of attention.
    steps: usize,
    /// Whether nothing joins the batch, so that it may be open.
    batch_stays: bool,
}

impl Fold {
    fn of(value: &Value, axes: &[usize]) -> Result<Self, Stop> {
        let Some(dims) = value.shape.clone() else { return unsupported("attention over an unknown shape") };
        let last = dims.len().saturating_sub(1);
        let free = (1..last).filter(|axis| !axes.contains(axis));
        let order: Vec<usize> = [0].into_iter().chain(free).chain(axes.iter().copied()).chain([last]).collect();
        let size = |axis: &usize| dims.get(*axis).copied().flatten();
        let steps = axes.iter().try_fold(1usize, |all, axis| all.checked_mul(size(axis)?));
        let Some(steps) = steps.filter(|_| (1..=last).all(|axis| size(&axis).is_some()) && order.len() == dims.len())
        else {
            return unsupported("attention over axes of open size");
        };
        Ok(Fold { batch_stays: order.len() == axes.len() + 2, order, dims, steps })
    }

    /// (batch x free, steps, width)
    fn folded(&self, context: &mut Context, value: &Value) -> Result<Value, Stop> {
        let value = context.float(value);
        let value = context.low.as_is(&value);
        let perm: Vec<i64> = self.order.iter().map(|&axis| axis as i64).collect();
        let name = context.node("Transpose", &[&value.name], "folded", &[("perm", perm.into())]);
        let batch = self.dims.first().copied().flatten().filter(|_| self.batch_stays);
        reshape_to(context, &name, batch, &[Some(self.steps), value.last_dim()])
    }

    /// The result (batch x free, steps, width) with the axes that its input had.
    fn unfolded(&self, context: &mut Context, result: &Value) -> Result<Value, Stop> {
        let width = result.last_dim();
        let inner = self.order.get(1..self.order.len().saturating_sub(1)).unwrap_or_default();
        let dims: Vec<Option<usize>> =
            inner.iter().map(|&axis| self.dims.get(axis).copied().flatten()).chain([width]).collect();
        let batch = self.dims.first().copied().flatten();
        let spread = reshape_to(context, &result.name, batch, &dims)?;
        let place = |axis: usize| self.order.iter().position(|&at| at == axis).unwrap_or(axis) as i64;
        let back: Vec<i64> = (0..self.order.len()).map(place).collect();
        let name = context.node("Transpose", &[&spread.name], "unfolded", &[("perm", back.into())]);
        let mut shape = self.dims.clone();
        if let Some(last) = shape.last_mut() {
            *last = width;
        }
        Ok(Value::new(name, Some(shape), Layout::AsIs))
    }
}

/// Attention over the one axis between batch and width: softmax(q k^T / sqrt(key_dim)) v for every head.
fn over_time(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
    let query = context.single(inputs)?.clone();
    let value = inputs.get(1).cloned().or_else(|| context.keyword("value"));
    let Some(value) = value else { return Err(context.config.wrong("name", "a call with a query and a value")) };
    let key = inputs.get(2).cloned().or_else(|| context.keyword("key")).unwrap_or_else(|| value.clone());
    let given_mask = context.keyword("attention_mask");
    let config = context.config;
    if config.bool("use_gate", false)? || config.get("sliding_window").is_some() {
        return unsupported("gated attention, or attention inside of a window");
    }
    let sequences = [&query, &key, &value];
    if sequences.iter().any(|value| value.rank().is_some_and(|rank| rank != 3)) {
        return unsupported("attention between tensors of other numbers of axes");
    }
    let (heads, key_dim) = (config.count("num_heads")?, config.count("key_dim")?);
    let value_dim = config.count_or("value_dim", key_dim)?;
    let use_bias = config.bool("use_bias", true)?;
    let project = |context: &mut Context, value: &Value, part: Part, width: usize| {
        let value = context.float(value);
        let value = context.low.as_is(&value);
        let name = part.component;
        context.parts = vec![part];
        let weight = context.constant(&format!("{name}/kernel"), |context| {
            let kernel = context.required(&["kernel"], 0, &[value.last_dim(), Some(heads), Some(width)])?;
            let rows = kernel.shape().first().copied().unwrap_or(0);
            Ok(kernel.reshaped(vec![rows, heads * width])?)
        })?;
        let mut projected = context.node("MatMul", &[&value.name, &weight], &format!("{name}/MatMul"), &[]);
        if use_bias {
            let bias = context.constant(&format!("{name}/bias"), |context| {
                let bias = context.required(&["bias"], 1, &[Some(heads), Some(width)])?;
                Ok(bias.reshaped(vec![heads * width])?)
            })?;
            projected = context.node("Add", &[&projected, &bias], &format!("{name}/Add"), &[]);
        }
        context.parts.clear();
        // (batch, time, heads x width) to (batch, heads, time, width)
        let shape = context.ints(&format!("{name}/shape"), &[0, -1, heads as i64, width as i64])?;
        let split = context.node("Reshape", &[&projected, &shape], &format!("{name}/split"), &[]);
        let perm: [(&str, Attr); 1] = [("perm", vec![0i64, 2, 1, 3].into())];
        Ok::<_, Stop>(context.node("Transpose", &[&split], &format!("{name}/heads"), &perm))
    };
    let queries = project(context, &query, QUERY, key_dim)?;
    let keys = project(context, &key, KEY, key_dim)?;
    let values = project(context, &value, VALUE, value_dim)?;
    let scale = context.floats("scale", &[], &[1.0 / (key_dim as f32).sqrt()])?;
    let scaled = context.node("Mul", &[&queries, &scale], "scaled", &[]);
    let turned = context.node("Transpose", &[&keys], "keys", &[("perm", vec![0i64, 1, 3, 2].into())]);
    let mut scores = context.node("MatMul", &[&scaled, &turned], "scores", &[]);
    let causal = context.keyword_plain("use_causal_mask").and_then(serde_json::Value::as_bool).unwrap_or(false);
    let time = |value: &Value| value.shape.as_ref().and_then(|shape| shape.get(1).copied().flatten());
    // Which positions may be seen, each (batch or 1, query or 1, value or 1).
    let mut masks = Vec::new();
    let key_is_value = key.name == value.name;
    for (keyword, sequence, axis) in [("query_mask", &query, 2i64), ("value_mask", &value, 1), ("key_mask", &key, 1)] {
        let mask = context.mask(keyword, sequence).filter(|_| keyword != "key_mask" || !key_is_value);
        if let Some(mask) = mask {
            let axes = context.ints("axes", &[axis])?;
            masks.push(context.node("Unsqueeze", &[&mask, &axes], keyword, &[]));
        }
    }
    if let Some(mask) = given_mask {
        masks.push(seen_by(context, &mask)?);
    }
    if causal {
        let (Some(rows), Some(columns)) = (time(&query), time(&value)) else {
            return unsupported("a causal mask over an open number of steps");
        };
        // A mask is as large as the scores, which the engine has to hold anyway; larger ones are a damaged file.
        if rows.saturating_mul(columns) > 1 << 26 {
            return unsupported(format!("a causal mask of {rows} x {columns}"));
        }
        let seen = (0..rows).flat_map(|row| (0..columns).map(move |column| u8::from(column <= row)));
        let seen = Tensor::new(DType::Bool, vec![1, rows, columns], seen.collect::<Vec<u8>>().into())?;
        masks.push(context.low.builder.initializer(&format!("{}/causal_mask", context.path), &seen));
    }
    let mut masks = masks.into_iter();
    if let Some(first) = masks.next() {
        let mut seen = first;
        for mask in masks {
            seen = context.node("And", &[&seen, &mask], "mask", &[]);
        }
        scores = masked(context, &scores, &seen)?;
    }
    let weights = context.node("Softmax", &[&scores], "Softmax", &[("axis", (-1i64).into())]);
    let seen = context.node("MatMul", &[&weights, &values], "seen", &[]);
    let joined = context.node("Transpose", &[&seen], "joined", &[("perm", vec![0i64, 2, 1, 3].into())]);
    let shape = context.ints("shape", &[0, -1, (heads * value_dim) as i64])?;
    let joined = context.node("Reshape", &[&joined, &shape], "joined", &[]);
    context.parts = vec![OUTPUT];
    let output = match config.get("output_shape") {
        Some(_) => match config.axes("output_shape", &[])?.as_slice() {
            [width] => usize::try_from(*width).ok(),
            _ => return unsupported("an output of more than one axis"),
        },
        None => query.last_dim(),
    };
    let weight = context.required(&["kernel"], 0, &[Some(heads), Some(value_dim), output])?;
    let width = weight.shape().last().copied().unwrap_or(0);
    let weight = context.constant("output/kernel", |_| Ok(weight.reshaped(vec![heads * value_dim, width])?))?;
    let mut name = context.node("MatMul", &[&joined, &weight], "output/MatMul", &[]);
    if use_bias {
        let bias = context.constant("output/bias", |context| context.required(&["bias"], 1, &[Some(width)]))?;
        name = context.node("Add", &[&name, &bias], "output/Add", &[]);
    }
    context.parts.clear();
    let batch = query.shape.as_ref().and_then(|shape| shape.first().copied().flatten());
    let mut results = vec![Value::new(name, Some(vec![batch, time(&query), Some(width)]), Layout::AsIs)];
    let wanted = context.keyword_plain(SCORES).and_then(serde_json::Value::as_bool);
    if wanted == Some(true) {
        let shape = vec![batch, Some(heads), time(&query), time(&value)];
        results.push(Value::new(weights, Some(shape), Layout::AsIs));
    }
    Ok(results)
}

/// A given mask (batch, query, value), or of fewer axes, as booleans of three axes.
fn seen_by(context: &mut Context, mask: &Value) -> Result<String, Stop> {
    let mask = context.low.as_is(mask);
    // Anything but 0 is seen.
    let name = context.node("Cast", &[&mask.name], "mask", &[("to", i64::from(DType::Bool.to_onnx()).into())]);
    match mask.rank() {
        Some(3) => Ok(name),
        Some(2) => {
            let axes = context.ints("axes", &[1])?;
            Ok(context.node("Unsqueeze", &[&name, &axes], "mask", &[]))
        }
        _ => unsupported("a mask that is not (batch, query, value)"),
    }
}

/// The scores (batch, heads, query, value) with [`UNSEEN`] added where a mask (batch, query, value) is false.
fn masked(context: &mut Context, scores: &str, seen: &str) -> Result<String, Stop> {
    let number = context.node("Cast", &[seen], "mask", &[("to", i64::from(DType::Float32.to_onnx()).into())]);
    let (one, unseen) = (context.floats("one", &[], &[1.0])?, context.floats("unseen", &[], &[UNSEEN])?);
    let left_out = context.node("Sub", &[&one, &number], "mask", &[]);
    let added = context.node("Mul", &[&left_out, &unseen], "mask", &[]);
    let axes = context.ints("axes", &[1])?;
    let added = context.node("Unsqueeze", &[&added, &axes], "mask", &[]);
    Ok(context.node("Add", &[scores, &added], "masked", &[]))
}
