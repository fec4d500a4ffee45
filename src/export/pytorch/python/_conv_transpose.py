def _conv_transpose(x, weight, bias, conv, begin, end, extra, **how):
    """A transposed convolution whose result is cut, or extended by zeros, at each side on its own."""
    full = conv(x, weight, None, **how)
    pads = [p for b, e, o in zip(reversed(begin), reversed(end), reversed(extra)) for p in (-b, o - e)]
    y = F.pad(full, pads)
    return y if bias is None else y + bias.reshape([-1] + [1] * (x.dim() - 2))
