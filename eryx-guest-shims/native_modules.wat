;; The Python module `_eryx_native_modules`: starts the native modules that a factory links.
;;
;;     start()   runs their constructors, and registers them with `dlopen`
;;
;; `start_native_modules` does nothing in the guest image. The linker (`eryx-guest-linker`) replaces
;; its body in an image with native modules.
;;
;; `preview1_NAME` is the function NAME of WASI preview 1 for these modules, which Rust's standard
;; library imports. The C library of the guest has preview 2.
(module
  (@dylink.0 (mem-info (memory 128 3) (table 1 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "getentropy" (func $getentropy (param i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56, two PyMethodDef (16 bytes each, the
  ;; last all zero) at 88.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_native_modules\00")
  (data (offset (i32.add (global.get $base) (i32.const 80))) "start\00")

  (elem (global.get $table) func $start)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func (export "PyInit__eryx_native_modules") (result i32)
    ;; ml_name, ml_meth, ml_flags: METH_NOARGS
    (i32.store offset=88 (global.get $base) (call $relocate (i32.const 80)))
    (i32.store offset=92 (global.get $base) (global.get $table))
    (i32.store offset=96 (global.get $base) (i32.const 0x4))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 88)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $start (param $self i32) (param $unused i32) (result i32)
    (call $start_native_modules)
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0)))

  (func $start_native_modules (export "start_native_modules"))

  (func (export "preview1_random_get") (param $buffer i32) (param $length i32) (result i32)
    (local $part i32)
    (loop $again
      (if (local.get $length)
        (then
          ;; The most that getentropy returns.
          (local.set $part (i32.const 256))
          (if (i32.lt_u (local.get $length) (local.get $part))
            (then (local.set $part (local.get $length))))
          ;; EIO of WASI
          (if (call $getentropy (local.get $buffer) (local.get $part))
            (then (return (i32.const 29))))
          (local.set $buffer (i32.add (local.get $buffer) (local.get $part)))
          (local.set $length (i32.sub (local.get $length) (local.get $part)))
          (br $again))))
    (i32.const 0)))
