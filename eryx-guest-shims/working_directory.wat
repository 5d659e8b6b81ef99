;; The Python module `_eryx_working_directory`: sets the working directory of libc.
;;
;;     set(path)   takes a path as bytes, without checking that the directory exists
;;
;; `os.chdir` checks that, and the machine that builds the image does not have the directory of the
;; programs. A `chdir` when a program starts would cost each sandbox host calls and pages of memory.
(module
  (@dylink.0 (mem-info (memory 128 3) (table 1 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))
  ;; The address of libc's pointer to the path.
  (import "GOT.mem" "__wasilibc_cwd" (global $cwd (mut i32)))

  (import "env" "strdup" (func $strdup (param i32) (result i32)))
  (import "env" "PyBytes_AsString" (func $PyBytes_AsString (param i32) (result i32)))
  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56, two PyMethodDef (16 bytes each, the
  ;; last all zero) at 88.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_working_directory\00")
  (data (offset (i32.add (global.get $base) (i32.const 80))) "set\00")

  (elem (global.get $table) func $set)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func (export "PyInit__eryx_working_directory") (result i32)
    ;; ml_name, ml_meth, ml_flags: METH_O
    (i32.store offset=88 (global.get $base) (call $relocate (i32.const 80)))
    (i32.store offset=92 (global.get $base) (global.get $table))
    (i32.store offset=96 (global.get $base) (i32.const 0x8))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 88)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $set (param $self i32) (param $path i32) (result i32)
    (local $text i32)
    (local.set $text (call $PyBytes_AsString (local.get $path)))
    ;; The argument is not `bytes`; the exception is set.
    (if (i32.eqz (local.get $text)) (then (return (i32.const 0))))
    ;; The old path is not freed: the first is no block of `malloc`. `chdir` frees this one, because
    ;; it is not "/".
    (i32.store (global.get $cwd) (call $strdup (local.get $text)))
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0))))
