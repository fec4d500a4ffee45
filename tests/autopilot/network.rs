//! A small network of many kinds of layers, made here, and images for it.

use quantscope::onnx::{Attr, Dim, GraphBuilder};
use quantscope::tensor::DType;

/// Reproducible numbers between -1 and 1.
pub struct Noise(u64);

impl Noise {
    pub fn new(seed: u64) -> Self {
        Noise(seed)
    }

    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn many(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| self.next() * scale).collect()
    }
}

/// Channels first: Conv (no bias) and batch norm, depthwise Conv, Conv of 1 x 1, a residual Add, a Gemm, and a MatMul with an
/// Add. `batch_norm` leaves the normalizations out.
pub fn network(batch_norm: bool) -> Vec<u8> {
    let mut noise = Noise::new(5);
    let mut graph = GraphBuilder::new("network", 17);
    let image = [Dim::Known(1), Dim::Known(3), Dim::Known(32), Dim::Known(32)];
    let mut value = graph.input("image", DType::Float32, Some(&image));
    let mut block = |graph: &mut GraphBuilder, input: &str, name: &str, shape: [usize; 4], group: i64, stride: i64| {
        let per_output = shape[1] * shape[2] * shape[3];
        let mut weight = noise.many(shape.iter().product(), 1.5 / (per_output as f32).sqrt());
        // Channels of very different reach, as depthwise layers have them.
        for (at, value) in weight.iter_mut().enumerate() {
            *value *= 1.0 + 3.0 * ((at / per_output) % 3) as f32;
        }
        let weight = graph.floats(&format!("{name}_weight"), &shape, &weight).unwrap();
        let pad = (shape[2] as i64 - 1) / 2;
        let attributes = [
            ("group", Attr::Int(group)),
            ("strides", Attr::Ints(vec![stride, stride])),
            ("pads", Attr::Ints(vec![pad; 4])),
        ];
        let mut made = graph.node("Conv", &[input, &weight], &format!("{name}_conv"), &attributes);
        if batch_norm {
            let positive: Vec<f32> = (0..shape[0]).map(|_| 0.6 + 0.3 * noise.next().abs()).collect();
            let small = [noise.many(shape[0], 0.4), noise.many(shape[0], 0.2)];
            let variance: Vec<f32> = (0..shape[0]).map(|at| 0.8 + at as f32 * 0.1).collect();
            let names = [positive, small[0].clone(), small[1].clone(), variance]
                .iter()
                .enumerate()
                .map(|(at, values)| graph.floats(&format!("{name}_bn{at}"), &[shape[0]], values).unwrap())
                .collect::<Vec<_>>();
            let inputs = [made.as_str(), &names[0], &names[1], &names[2], &names[3]];
            made = graph.node("BatchNormalization", &inputs, &format!("{name}_norm"), &[]);
        }
        graph.node("Relu", &[&made], &format!("{name}_relu"), &[])
    };
    value = block(&mut graph, &value, "first", [8, 3, 3, 3], 1, 2);
    value = block(&mut graph, &value, "deep", [8, 1, 3, 3], 8, 1);
    let skip = block(&mut graph, &value, "point", [16, 8, 1, 1], 1, 2);
    let other = block(&mut graph, &skip, "body", [16, 16, 3, 3], 1, 1);
    value = graph.node("Add", &[&skip, &other], "sum", &[]);
    value = graph.node("GlobalAveragePool", &[&value], "pooled", &[]);
    value = graph.node("Flatten", &[&value], "flat", &[]);
    let mut noise = Noise::new(9);
    let weight = graph.floats("gemm_weight", &[12, 16], &noise.many(192, 0.4)).unwrap();
    let bias = graph.floats("gemm_bias", &[12], &noise.many(12, 0.1)).unwrap();
    let attributes = [("transB", Attr::Int(1))];
    value = graph.node("Gemm", &[&value, &weight, &bias], "gemm", &attributes);
    value = graph.node("Relu", &[&value], "gemm_relu", &[]);
    let weight = graph.floats("matmul_weight", &[12, 10], &noise.many(120, 0.5)).unwrap();
    let bias = graph.floats("add_bias", &[10], &noise.many(10, 0.1)).unwrap();
    value = graph.node("MatMul", &[&value, &weight], "matmul", &[]);
    value = graph.node("Add", &[&value, &bias], "scores", &[]);
    graph.output(&value, DType::Float32, Some(&[Dim::Known(1), Dim::Known(10)]));
    graph.finish().unwrap().encode()
}

/// Images in CIFAR-10's layout, with labels in turn.
pub fn images(count: usize) -> Vec<u8> {
    let mut noise = Noise::new(77);
    let mut bytes = Vec::new();
    for item in 0..count {
        bytes.push((item % 10) as u8);
        let middle = 128.0 + 60.0 * noise.next();
        bytes.extend((0..3072).map(|_| (middle + 60.0 * noise.next()).clamp(0.0, 255.0) as u8));
    }
    bytes
}
