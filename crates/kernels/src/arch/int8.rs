//! Tiles of the int8 matrix product. (Filled with the int8 work.)
