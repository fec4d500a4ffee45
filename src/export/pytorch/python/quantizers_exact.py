

class QuantizeLinear(nn.Module):
    """q = clamp(round_half_even(x / scale) + zero_point, low, high), as integers."""

    def __init__(self, scale=1.0, zero_point=0, low=-128, high=127, dtype=torch.int8, shape=(), axis=None, block=0):
        super().__init__()
        self.low, self.high, self.dtype, self.axis, self.block = low, high, dtype, axis, block
        self.register_buffer("scale", torch.full(shape, scale, dtype=torch.float32))
        self.register_buffer("zero_point", torch.full(shape, zero_point, dtype=torch.int64))

    def forward(self, x):
        scale, zero_point = (_spread(p, x, self.axis, self.block) for p in (self.scale, self.zero_point))
        q = torch.round(x.to(torch.float32) / scale) + zero_point
        return torch.clamp(q, self.low, self.high).to(self.dtype)


class DequantizeLinear(nn.Module):
    """x = scale * (q - zero_point)."""

    def __init__(self, scale=1.0, zero_point=0, low=-128, high=127, dtype=torch.int8, shape=(), axis=None, block=0):
        super().__init__()
        self.axis, self.block = axis, block
        self.register_buffer("scale", torch.full(shape, scale, dtype=torch.float32))
        self.register_buffer("zero_point", torch.full(shape, zero_point, dtype=torch.int64))

    def forward(self, q):
        scale, zero_point = (_spread(p, q, self.axis, self.block) for p in (self.scale, self.zero_point))
        return (q.to(torch.int64) - zero_point).to(torch.float32) * scale


def _spread(parameter, x, axis, block):
    """Scales or zero points in a shape that broadcasts to x."""
    if axis is None:
        return parameter
    if block:
        return parameter.repeat_interleave(block, dim=axis).narrow(axis, 0, x.shape[axis])
    return parameter.reshape([-1 if at == axis % x.dim() else 1 for at in range(x.dim())])
