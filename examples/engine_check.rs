//! The engine as a WebAssembly module that the browser tests call directly, so that the reference checks run on the
//! code that ships and not only natively. Nothing here is part of the application.

#[cfg(not(target_arch = "wasm32"))]
fn main() {}

#[cfg(target_arch = "wasm32")]
fn main() {
    console_error_panic_hook::set_once();
}

#[cfg(target_arch = "wasm32")]
#[allow(clippy::unwrap_used)]
#[path = "../tests/engine/cut.rs"]
mod cut;

#[cfg(target_arch = "wasm32")]
mod exports {
    use bytes::Bytes;
    use js_sys::{Object, Reflect, Uint8Array};
    use quantscope::engine::{Observe, Plan, PlanOptions, Semantics, unsupported};
    use quantscope::onnx::Document;
    use quantscope::tensor::{DType, Tensor};
    use wasm_bindgen::prelude::*;

    type Failure = JsValue;

    fn failed(error: impl std::fmt::Display) -> Failure {
        js_sys::Error::new(&error.to_string()).into()
    }

    fn document(model: &[u8]) -> Result<Document, Failure> {
        Document::decode(Bytes::copy_from_slice(model)).map_err(failed)
    }

    fn plan(model: &[u8], semantics: &str, observe: Observe) -> Result<Plan, Failure> {
        let semantics = match semantics {
            "simulate" => Semantics::Simulate,
            "integer" => Semantics::Integer,
            other => return Err(failed(format!("no semantics '{other}'"))),
        };
        Plan::compile(&document(model)?, semantics, &PlanOptions { observe }).map_err(failed)
    }

    const RECORD: usize = 3073;

    /// Images of a CIFAR-10 binary file as one float NHWC tensor, 0..255.
    fn images(cifar: &[u8], first: usize, count: usize) -> Result<Tensor, Failure> {
        let mut pixels = Vec::with_capacity(count * 3072);
        for record in cifar.chunks_exact(RECORD).skip(first).take(count) {
            for at in 0..1024 {
                pixels.extend((0..3).map(|channel| f32::from(record[1 + channel * 1024 + at])));
            }
        }
        Tensor::from_vec(vec![count, 32, 32, 3], pixels).map_err(failed)
    }

    fn input_name(plan: &Plan) -> Result<String, Failure> {
        plan.inputs().first().map(|input| input.name.clone()).ok_or_else(|| failed("the model has no input"))
    }

    /// Output rows of the first `count` images, one after the other, computed `batch` images at a time.
    #[wasm_bindgen]
    pub fn rows(model: &[u8], cifar: &[u8], count: usize, semantics: &str, batch: usize) -> Result<Vec<f32>, Failure> {
        let mut plan = plan(model, semantics, Observe::OutputsOnly)?;
        let (input, output) = (input_name(&plan)?, plan.outputs().first().cloned().unwrap_or_default());
        let count = count.min(cifar.len() / RECORD);
        let mut rows = Vec::new();
        for first in (0..count).step_by(batch.max(1)) {
            let images = images(cifar, first, batch.max(1).min(count - first))?;
            plan.run(&[(input.clone(), images)]).map_err(failed)?;
            let row = plan.value(&output).ok_or_else(|| failed("there is no output"))?;
            rows.extend(row.to_f32().map_err(failed)?);
        }
        Ok(rows)
    }

    /// Milliseconds of `count` runs of one image, shortest first, all values observed or outputs only.
    #[wasm_bindgen]
    pub fn bench(model: &[u8], cifar: &[u8], count: usize, semantics: &str, all: bool) -> Result<Vec<f64>, Failure> {
        let mut plan = plan(model, semantics, if all { Observe::All } else { Observe::OutputsOnly })?;
        let input = input_name(&plan)?;
        let image = images(cifar, 0, 1)?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let start = now();
            plan.run(&[(input.clone(), image.clone())]).map_err(failed)?;
            times.push(now() - start);
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    #[wasm_bindgen]
    extern "C" {
        #[wasm_bindgen(js_namespace = performance)]
        fn now() -> f64;
    }

    fn set(object: &Object, key: &str, value: impl Into<JsValue>) -> Result<(), Failure> {
        Reflect::set(object, &key.into(), &value.into()).map(drop)
    }

    fn described(tensor: &Tensor) -> Result<Object, Failure> {
        let object = Object::new();
        set(&object, "dtype", tensor.dtype().name())?;
        set(&object, "shape", tensor.shape().iter().map(|&d| JsValue::from(d as f64)).collect::<js_sys::Array>())?;
        set(&object, "bytes", Uint8Array::from(tensor.bytes().as_ref()))?;
        Ok(object)
    }

    /// A tensor given as `{dtype: number, shape, bytes}`.
    fn tensor(entry: &JsValue) -> Result<Tensor, Failure> {
        let field = |key: &str| Reflect::get(entry, &key.into());
        let number = field("dtype")?.as_f64().unwrap_or(0.0) as i32;
        let dtype = DType::from_onnx(number).ok_or_else(|| failed(format!("no data type {number}")))?;
        let dims: js_sys::Array = field("shape")?.unchecked_into();
        let shape = dims.iter().map(|d| d.as_f64().unwrap_or(0.0) as usize).collect();
        let bytes = Bytes::from(Uint8Array::new(&field("bytes")?).to_vec());
        Tensor::new(dtype, shape, bytes).map_err(failed)
    }

    /// Every Q and DQ node alone, and every block between codes, on recorded values given as `{name: tensor}`: one line
    /// `node alone|block equal total worst` each.
    #[wasm_bindgen]
    pub fn blocks(model: &[u8], recorded: &Object) -> Result<String, Failure> {
        let mut values = Vec::new();
        for name in Object::keys(recorded).iter() {
            let name = name.as_string().unwrap_or_default();
            let value = tensor(&Reflect::get(recorded, &name.as_str().into())?)?;
            values.push((name, value));
        }
        let line = |b: crate::cut::Block| {
            format!("{} {} {} {} {}", b.node, if b.alone { "alone" } else { "block" }, b.equal, b.total, b.worst)
        };
        let lines: Vec<String> = crate::cut::every_block(&document(model)?, &values).into_iter().map(line).collect();
        Ok(lines.join("\n"))
    }

    /// Runs a model on tensors given as `{name: {dtype: number, shape, bytes}}`; gives every value in the same form,
    /// with the dtype by its ONNX name.
    #[wasm_bindgen]
    pub fn values(model: &[u8], inputs: &Object, semantics: &str) -> Result<Object, Failure> {
        let mut plan = plan(model, semantics, Observe::All)?;
        let mut given = Vec::new();
        for fact in plan.inputs() {
            let entry = Reflect::get(inputs, &fact.name.as_str().into())?;
            given.push((fact.name.clone(), tensor(&entry)?));
        }
        plan.run(&given).map_err(failed)?;
        let result = Object::new();
        for name in plan.observed() {
            let tensor = plan.value(name).ok_or_else(|| failed(format!("'{name}' has no value")))?;
            set(&result, name, described(&tensor)?)?;
        }
        Ok(result)
    }

    /// Edits every key once, by a fixed pattern, with partial re-runs; gives the number of values that differ in a bit
    /// from a full run.
    #[wasm_bindgen]
    pub fn partial_differences(model: &[u8], cifar: &[u8], semantics: &str) -> Result<usize, Failure> {
        let mut live = plan(model, semantics, Observe::All)?;
        let mut full = plan(model, semantics, Observe::All)?;
        let (input, image) = (input_name(&live)?, images(cifar, 0, 1)?);
        live.run(&[(input.clone(), image.clone())]).map_err(failed)?;
        let mut different = 0;
        for (index, key) in live.keys().iter().enumerate() {
            let mut params = live.params(key).ok_or_else(|| failed("a key without parameters"))?;
            params.scale.iter_mut().for_each(|scale| *scale *= 0.75 + 0.125 * (index % 5) as f32);
            live.set_params(key, &params).map_err(failed)?;
            live.rerun().map_err(failed)?;
            full.set_params(key, &params).map_err(failed)?;
            full.run(&[(input.clone(), image.clone())]).map_err(failed)?;
            different += live.observed().iter().filter(|name| live.value(name) != full.value(name)).count();
        }
        Ok(different)
    }

    /// The nodes that cannot run, one `name (op): reason` a line.
    #[wasm_bindgen]
    pub fn refused(model: &[u8]) -> Result<String, Failure> {
        let nodes = unsupported(&document(model)?);
        let lines: Vec<String> = nodes.iter().map(|n| format!("{} ({}): {}", n.node, n.op_type, n.reason)).collect();
        Ok(lines.join("\n"))
    }
}
