def _gather(x, indices, axis):
    """ONNX Gather: the axis is replaced by the axes of the indices."""
    axis = axis % x.dim()
    flat = indices.reshape(-1).to(torch.int64)
    flat = torch.where(flat < 0, flat + x.shape[axis], flat)
    return x.index_select(axis, flat).reshape(x.shape[:axis] + indices.shape + x.shape[axis + 1 :])
