/**
 * The AssemblyScript names of the number types in `assembly/abi.ts`, so that the host's compiler can
 * read the same file.
 */
type u32 = number;
type i32 = number;
