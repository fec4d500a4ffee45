//! `MultiHeadAttention`.

use crate::import::keras::context::Context;
use crate::import::keras::stop::{Stop, unsupported};
use crate::import::keras::value::{Layout, Value};
use crate::import::keras::weights::Part;
use crate::onnx::Attr;
use crate::tensor::DType;

/// What Keras adds to the scores of positions that must not be seen.
const UNSEEN: f32 = -1e9;

const QUERY: Part = Part { folders: &["query_dense", "_query_dense"], component: "query" };
const KEY: Part = Part { folders: &["key_dense", "_key_dense"], component: "key" };
const VALUE: Part = Part { folders: &["value_dense", "_value_dense"], component: "value" };
const OUTPUT: Part = Part { folders: &["output_dense", "_output_dense"], component: "attention_output" };

/// Attention over the one axis between batch and width: softmax(q k^T / sqrt(key_dim)) v for every head.
pub(super) fn multi_head(context: &mut Context, inputs: &[Value]) -> Result<Vec<Value>, Stop> {
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
    if sequences.iter().any(|value| value.rank().is_some_and(|rank| rank != 3))
        || config.axes("attention_axes", &[1])? != [1]
    {
        return unsupported("attention over more than one axis");
    }
    if sequences.iter().any(|value| value.mask.is_some()) {
        return unsupported("attention over steps that a mask leaves out");
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
    if let Some(mask) = given_mask {
        scores = masked(context, &scores, &mask)?;
    }
    let causal = context.keyword_plain("use_causal_mask").and_then(serde_json::Value::as_bool).unwrap_or(false);
    let time = |value: &Value| value.shape.as_ref().and_then(|shape| shape.get(1).copied().flatten());
    if causal {
        let (Some(rows), Some(columns)) = (time(&query), time(&value)) else {
            return unsupported("a causal mask over an open number of steps");
        };
        // A mask is as large as the scores, which the engine has to hold anyway; larger ones are a damaged file.
        if rows.saturating_mul(columns) > 1 << 26 {
            return unsupported(format!("a causal mask of {rows} x {columns}"));
        }
        let unseen = (0..rows).flat_map(|row| (0..columns).map(move |column| if column > row { UNSEEN } else { 0.0 }));
        let mask = context.floats("causal_mask", &[rows, columns], &unseen.collect::<Vec<_>>())?;
        scores = context.node("Add", &[&scores, &mask], "masked", &[]);
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
    let wanted = context.keyword_plain("return_attention_scores").and_then(serde_json::Value::as_bool);
    if wanted == Some(true) {
        let shape = vec![batch, Some(heads), time(&query), time(&value)];
        results.push(Value::new(weights, Some(shape), Layout::AsIs));
    }
    Ok(results)
}

/// The scores with [`UNSEEN`] added where a mask (batch, query, value) is 0.
fn masked(context: &mut Context, scores: &str, mask: &Value) -> Result<String, Stop> {
    let mask = context.low.as_is(mask);
    let mask = Value { dtype: if mask.dtype == DType::Float32 { DType::Float64 } else { mask.dtype }, ..mask };
    // Keras takes anything but 0 as 1.
    let to_bool = context.node("Cast", &[&mask.name], "mask", &[("to", i64::from(DType::Bool.to_onnx()).into())]);
    let number = context.node("Cast", &[&to_bool], "mask", &[("to", i64::from(DType::Float32.to_onnx()).into())]);
    let (one, unseen) = (context.floats("one", &[], &[1.0])?, context.floats("unseen", &[], &[UNSEEN])?);
    let left_out = context.node("Sub", &[&one, &number], "mask", &[]);
    let mut added = context.node("Mul", &[&left_out, &unseen], "mask", &[]);
    if mask.rank() == Some(3) {
        let axes = context.ints("axes", &[1])?;
        added = context.node("Unsqueeze", &[&added, &axes], "mask", &[]);
    }
    Ok(context.node("Add", &[scores, &added], "masked", &[]))
}
