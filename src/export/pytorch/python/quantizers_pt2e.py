import torch.ao.quantization.fx._decomposed  # registers torch.ops.quantized_decomposed


class QuantizeLinear(nn.Module):
    """The operator that PT2E writes: q = clamp(round(x * (1 / scale)) + zero_point, low, high)."""

    def __init__(self, scale=1.0, zero_point=0, low=-128, high=127, dtype=torch.int8, shape=(), axis=None):
        super().__init__()
        self.numbers, self.bounds, self.axis = (scale, zero_point), (low, high, dtype), axis
        self.register_buffer("scale", torch.full(shape, scale, dtype=torch.float32))
        self.register_buffer("zero_point", torch.full(shape, zero_point, dtype=torch.int64))

    def forward(self, x):
        ops = torch.ops.quantized_decomposed
        if self.axis is None:
            return ops.quantize_per_tensor.default(x, *self.numbers, *self.bounds)
        return ops.quantize_per_channel.default(x, self.scale, self.zero_point, self.axis, *self.bounds)


class DequantizeLinear(nn.Module):
    """The operator that PT2E writes: x = (q - zero_point) * scale."""

    def __init__(self, scale=1.0, zero_point=0, low=-128, high=127, dtype=torch.int8, shape=(), axis=None):
        super().__init__()
        self.numbers, self.bounds, self.axis = (scale, zero_point), (low, high, dtype), axis
        self.register_buffer("scale", torch.full(shape, scale, dtype=torch.float32))
        self.register_buffer("zero_point", torch.full(shape, zero_point, dtype=torch.int64))

    def forward(self, q):
        ops = torch.ops.quantized_decomposed
        if self.axis is None:
            return ops.dequantize_per_tensor.default(q, *self.numbers, *self.bounds)
        return ops.dequantize_per_channel.default(q, self.scale, self.zero_point, self.axis, *self.bounds)
