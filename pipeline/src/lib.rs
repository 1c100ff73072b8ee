//! Live measurement of online marketing and shops, without watching individuals
