//! The words of TensorFlow Lite's schema: operators, element types.

use crate::tensor::DType;

/// `TensorType` by its number, the word of the schema and ours; types without numbers in them have none.
const TYPES: [(&str, Option<DType>); 20] = [
    ("FLOAT32", Some(DType::Float32)),
    ("FLOAT16", Some(DType::Float16)),
    ("INT32", Some(DType::Int32)),
    ("UINT8", Some(DType::Uint8)),
    ("INT64", Some(DType::Int64)),
    ("STRING", None),
    ("BOOL", Some(DType::Bool)),
    ("INT16", Some(DType::Int16)),
    ("COMPLEX64", Some(DType::Complex64)),
    ("INT8", Some(DType::Int8)),
    ("FLOAT64", Some(DType::Float64)),
    ("COMPLEX128", Some(DType::Complex128)),
    ("UINT64", Some(DType::Uint64)),
    ("RESOURCE", None),
    ("VARIANT", None),
    ("UINT32", Some(DType::Uint32)),
    ("UINT16", Some(DType::Uint16)),
    ("INT4", Some(DType::Int4)),
    ("BFLOAT16", Some(DType::Bfloat16)),
    ("INT2", Some(DType::Int2)),
];

/// The element type with this number and its word; a number that is not known is said as such.
pub(super) fn element_type(number: i8) -> (Option<DType>, String) {
    match usize::try_from(number).ok().and_then(|at| TYPES.get(at)) {
        Some((name, dtype)) => (*dtype, (*name).to_owned()),
        None => (None, format!("type {number}")),
    }
}

/// The number from which on operators stand in `builtin_code` alone.
pub(super) const CUSTOM: i32 = 32;

/// `BuiltinOperator` in the order of its numbers, as far as operators of common networks go.
const OPERATORS: &str = "ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE \
EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION \
LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX \
SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD \
UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE \
UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE \
BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT \
SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW ARG_MIN \
FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV \
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS \
SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG \
ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM \
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS \
HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE \
ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU";

/// An operator's word; one beyond the list is said by its number.
pub(super) fn operator_name(code: i32) -> String {
    let name = usize::try_from(code).ok().and_then(|at| OPERATORS.split(' ').nth(at));
    name.map_or_else(|| format!("BUILTIN_{code}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_schema() {
        let known = [(0, "ADD"), (3, "CONV_2D"), (32, "CUSTOM"), (40, "MEAN"), (114, "QUANTIZE"), (150, "GELU")];
        for (code, name) in known {
            assert_eq!(operator_name(code), name);
        }
        assert_eq!((operator_name(-1), operator_name(9999)), ("BUILTIN_-1".to_owned(), "BUILTIN_9999".to_owned()));
        assert_eq!(element_type(9), (Some(DType::Int8), "INT8".to_owned()));
        assert_eq!(element_type(-3).0, None);
    }
}
