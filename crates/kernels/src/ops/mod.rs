//! Safe kernels, one file an operation, forward beside backward.

pub mod activation;
pub mod attention;
pub mod dropout;
pub mod elementwise;
pub mod gemm;
pub mod halves;
pub mod int8;
mod lanes;
pub mod loss;
pub mod norm;
pub mod optimizer;
pub mod rotary;
pub mod transpose;
