def _reshape(x, shape, allow_zero=False):
    """ONNX Reshape: a 0 keeps the dim, a -1 takes what is left."""
    shape = [x.shape[at] if dim == 0 and not allow_zero else dim for at, dim in enumerate(shape)]
    return x.reshape(shape)
