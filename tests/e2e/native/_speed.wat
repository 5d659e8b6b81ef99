;; The Python module `speed._speed`, as a compiler would link it.
;;
;;     add_one(number)     returns the next number
;;     repr(object)        returns the representation of an object, through a function pointer
;;     spin()              runs for ever
;;     recurse()           calls itself for ever, without the stack in linear memory
;;     nested(object)      calls itself through `repr` of a list of itself
;;     take_memory()       grows the memory for ever
;;     write_outside()     writes behind the end of the memory
;;     draw()              returns a random number
;;     drawn()             returns the random number that was drawn when the module was loaded
;;     flags(bits)         sets flags of floating-point errors, and returns all that are set
(module
  (@dylink.0 (mem-info (memory 512 4) (table 10 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))
  (import "env" "__stack_pointer" (global $stack (mut i32)))
  (import "GOT.mem" "PyExc_ValueError" (global $ValueError (mut i32)))
  (import "GOT.func" "PyObject_Repr" (global $Repr (mut i32)))

  (import "env" "PyLong_AsLong" (func $PyLong_AsLong (param i32) (result i32)))
  (import "env" "PyLong_FromLong" (func $PyLong_FromLong (param i32) (result i32)))
  (import "env" "PyErr_Occurred" (func $PyErr_Occurred (result i32)))
  (import "env" "PyErr_SetString" (func $PyErr_SetString (param i32 i32)))
  (import "env" "PyObject_Repr" (func $PyObject_Repr (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))

  (import "env" "feraiseexcept" (func $feraiseexcept (param i32) (result i32)))
  (import "env" "fetestexcept" (func $fetestexcept (param i32) (result i32)))

  (import "wasi_snapshot_preview1" "random_get"
    (func $random_get (param i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 64, PyMethodDef (16 bytes each, the last
  ;; all zero) from 256. At 240 is whether the constructor has run, at 448 the number that was drawn
  ;; when the module was loaded, and at 452 the last one.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 64))) "_speed\00")
  (data (offset (i32.add (global.get $base) (i32.const 80))) "add_one\00")
  (data (offset (i32.add (global.get $base) (i32.const 96))) "repr\00")
  (data (offset (i32.add (global.get $base) (i32.const 112))) "spin\00")
  (data (offset (i32.add (global.get $base) (i32.const 128))) "recurse\00")
  (data (offset (i32.add (global.get $base) (i32.const 144))) "nested\00")
  (data (offset (i32.add (global.get $base) (i32.const 160))) "take_memory\00")
  (data (offset (i32.add (global.get $base) (i32.const 176))) "write_outside\00")
  (data (offset (i32.add (global.get $base) (i32.const 192))) "it is negative\00")
  (data (offset (i32.add (global.get $base) (i32.const 208))) "draw\00")
  (data (offset (i32.add (global.get $base) (i32.const 224))) "drawn\00")
  (data (offset (i32.add (global.get $base) (i32.const 232))) "flags\00")

  (elem (global.get $table)
    func $add_one $repr $spin $recurse $nested $take_memory $write_outside $draw
      $drawn $flags)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $index i32) (param $name i32) (param $flags i32)
    (local $at i32)
    (local.set $at
      (call $relocate (i32.add (i32.const 256) (i32.mul (local.get $index) (i32.const 16)))))
    (i32.store (local.get $at) (call $relocate (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $index)))
    (i32.store offset=8 (local.get $at) (local.get $flags)))

  ;; The address of a list of addresses, as a linker writes them.
  (func (export "__wasm_apply_data_relocs")
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 64)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 256))))

  (func (export "__wasm_call_ctors")
    (i32.store offset=240 (global.get $base) (i32.const 1)))

  (func (export "PyInit__speed") (result i32)
    (if (i32.eqz (i32.load offset=240 (global.get $base))) (then (unreachable)))
    ;; METH_O
    (call $method (i32.const 0) (i32.const 80) (i32.const 8))
    (call $method (i32.const 1) (i32.const 96) (i32.const 8))
    ;; METH_NOARGS
    (call $method (i32.const 2) (i32.const 112) (i32.const 4))
    (call $method (i32.const 3) (i32.const 128) (i32.const 4))
    (call $method (i32.const 4) (i32.const 144) (i32.const 8))
    (call $method (i32.const 5) (i32.const 160) (i32.const 4))
    (call $method (i32.const 6) (i32.const 176) (i32.const 4))
    (call $method (i32.const 7) (i32.const 208) (i32.const 4))
    (call $method (i32.const 8) (i32.const 224) (i32.const 4))
    ;; METH_O
    (call $method (i32.const 9) (i32.const 232) (i32.const 8))
    (call $fill_with_random (i32.const 448))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $add_one (param $self i32) (param $number i32) (result i32) (local $value i32)
    (local.set $value (call $PyLong_AsLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (if (i32.lt_s (local.get $value) (i32.const 0))
      (then
        (call $PyErr_SetString
          (i32.load (global.get $ValueError))
          (call $relocate (i32.const 192)))
        (return (i32.const 0))))
    (call $PyLong_FromLong (i32.add (local.get $value) (i32.const 1))))

  (func $flags (param $self i32) (param $bits i32) (result i32)
    (drop (call $feraiseexcept (call $PyLong_AsLong (local.get $bits))))
    (call $PyLong_FromLong (call $fetestexcept (i32.const 31))))

  (func $repr (param $self i32) (param $object i32) (result i32)
    (call_indirect (param i32) (result i32) (local.get $object) (global.get $Repr)))

  (func $spin (param $self i32) (param $unused i32) (result i32)
    (loop $again (br $again))
    (unreachable))

  (func $recurse (param $self i32) (param $unused i32) (result i32)
    (i32.add
      (call $recurse (local.get $self) (local.get $unused))
      (call $recurse (local.get $self) (local.get $unused))))

  (func $nested (param $self i32) (param $object i32) (result i32)
    (call $PyObject_Repr (local.get $object)))

  (func $take_memory (param $self i32) (param $unused i32) (result i32)
    (loop $again (br_if $again (i32.ge_s (memory.grow (i32.const 16)) (i32.const 0))))
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0)))

  (func $write_outside (param $self i32) (param $unused i32) (result i32)
    (i32.store (i32.const 0xfffffff0) (i32.const 1))
    (unreachable))

  (func $fill_with_random (param $offset i32)
    (if (call $random_get (call $relocate (local.get $offset)) (i32.const 4))
      (then (unreachable))))

  (func $draw (param $self i32) (param $unused i32) (result i32)
    (call $fill_with_random (i32.const 452))
    (call $PyLong_FromLong (i32.load offset=452 (global.get $base))))

  (func $drawn (param $self i32) (param $unused i32) (result i32)
    (call $PyLong_FromLong (i32.load offset=448 (global.get $base)))))
