def _same_pads(x, kernel, strides, dilations, upper):
    """F.pad's list for an output of ceil(size / stride)."""
    pads = []
    for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less = total // 2
        pads = ([less, total - less] if upper else [total - less, less]) + pads
    return pads
