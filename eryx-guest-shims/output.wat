;; The Python module `_eryx_output`: between text streams and standard output or error.
;;
;; A terminated program flushes nothing, and the embedder reads the output of a program that waits.
;; So the host must have all that a program has printed before its next step. `print` writes its
;; arguments, separators and end one by one, and a host call for each would double its time. So a
;; direct write goes to the host at once, and the writes of `print` go when it returns or ends a
;; line.
;;
;;     write_output(bytes)   returns the number of bytes: all are taken
;;     write_error(bytes)
;;     flush_output()
;;     flush_error()
;;     on_error(OSError)     sets the exception that a failed write to a descriptor raises
;;     gather(print)         makes the builtin function `print` send its writes together
(module
  (@dylink.0 (mem-info (memory 2352 3) (table 7 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "write" (func $libc_write (param i32 i32 i32) (result i32)))
  (import "env" "Py_IncRef" (func $Py_IncRef (param i32)))
  (import "env" "Py_DecRef" (func $Py_DecRef (param i32)))
  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))
  (import "env" "PyBytes_AsString" (func $PyBytes_AsString (param i32) (result i32)))
  (import "env" "PyBytes_Size" (func $PyBytes_Size (param i32) (result i32)))
  (import "env" "PyBytes_FromObject" (func $PyBytes_FromObject (param i32) (result i32)))
  (import "env" "PyMemoryView_FromObject" (func $PyMemoryView_FromObject (param i32) (result i32)))
  (import "env" "PyErr_Clear" (func $PyErr_Clear))
  (import "env" "PyErr_SetFromErrno" (func $PyErr_SetFromErrno (param i32) (result i32)))
  (import "env" "PyLong_FromUnsignedLong" (func $PyLong_FromUnsignedLong (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0; names from 56; seven PyMethodDef (16 bytes each,
  ;; the last all zero) at 152; the exception of `on_error` at 264; the number of active calls of
  ;; `print` at 268; its original function at 272; another name at 276; and two streams of 1,032
  ;; bytes at 288 and at 1,320: the descriptor, the number of buffered bytes at 4, and the buffer
  ;; of 1,020 bytes at 12.
  (type $call (func (param i32 i32 i32 i32) (result i32)))
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_output\00")
  (data (offset (i32.add (global.get $base) (i32.const 72))) "write_output\00")
  (data (offset (i32.add (global.get $base) (i32.const 88))) "write_error\00")
  (data (offset (i32.add (global.get $base) (i32.const 104))) "flush_output\00")
  (data (offset (i32.add (global.get $base) (i32.const 120))) "flush_error\00")
  (data (offset (i32.add (global.get $base) (i32.const 136))) "on_error\00")
  (data (offset (i32.add (global.get $base) (i32.const 276))) "gather\00")
  (data (offset (i32.add (global.get $base) (i32.const 288))) "\01")
  (data (offset (i32.add (global.get $base) (i32.const 1320))) "\02")

  (elem (global.get $table) func
    $write_output $write_error $flush_output $flush_error $on_error $gather $print)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $at i32) (param $name i32) (param $function i32) (param $flags i32)
    (i32.store (local.get $at) (call $relocate (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $function)))
    (i32.store offset=8 (local.get $at) (local.get $flags)))

  (func (export "PyInit__eryx_output") (result i32)
    ;; METH_O, METH_NOARGS
    (call $method (call $relocate (i32.const 152)) (i32.const 72) (i32.const 0) (i32.const 0x8))
    (call $method (call $relocate (i32.const 168)) (i32.const 88) (i32.const 1) (i32.const 0x8))
    (call $method (call $relocate (i32.const 184)) (i32.const 104) (i32.const 2) (i32.const 0x4))
    (call $method (call $relocate (i32.const 200)) (i32.const 120) (i32.const 3) (i32.const 0x4))
    (call $method (call $relocate (i32.const 216)) (i32.const 136) (i32.const 4) (i32.const 0x8))
    (call $method (call $relocate (i32.const 232)) (i32.const 276) (i32.const 5) (i32.const 0x8))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 152)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $on_error (param $self i32) (param $class i32) (result i32)
    (call $Py_IncRef (local.get $class))
    (i32.store offset=264 (global.get $base) (local.get $class))
    (call $none))

  (func $write_output (param $self i32) (param $object i32) (result i32)
    (call $write (call $relocate (i32.const 288)) (local.get $object)))

  (func $write_error (param $self i32) (param $object i32) (result i32)
    (call $write (call $relocate (i32.const 1320)) (local.get $object)))

  (func $flush_output (param $self i32) (param $nothing i32) (result i32)
    (if (call $flush (call $relocate (i32.const 288))) (then (return (call $raise))))
    (call $none))

  (func $flush_error (param $self i32) (param $nothing i32) (result i32)
    (if (call $flush (call $relocate (i32.const 1320))) (then (return (call $raise))))
    (call $none))

  (func $none (result i32)
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0)))

  (func $raise (result i32)
    (call $PyErr_SetFromErrno (i32.load offset=264 (global.get $base))))

  (func $write (param $stream i32) (param $object i32) (result i32)
    (local $bytes i32) (local $view i32) (local $copy i32) (local $size i32) (local $failed i32)
    (local.set $bytes (call $PyBytes_AsString (local.get $object)))
    (if (i32.eqz (local.get $bytes))
      (then
        ;; Not `bytes`. Other objects with the buffer protocol are copied, so that none of their
        ;; code runs meanwhile.
        (call $PyErr_Clear)
        (local.set $view (call $PyMemoryView_FromObject (local.get $object)))
        (if (i32.eqz (local.get $view)) (then (return (i32.const 0))))
        (local.set $copy (call $PyBytes_FromObject (local.get $view)))
        (call $Py_DecRef (local.get $view))
        (if (i32.eqz (local.get $copy)) (then (return (i32.const 0))))
        (local.set $object (local.get $copy))
        (local.set $bytes (call $PyBytes_AsString (local.get $object)))))
    (local.set $size (call $PyBytes_Size (local.get $object)))
    (local.set $failed (call $write_bytes (local.get $stream) (local.get $bytes) (local.get $size)))
    (if (local.get $copy) (then (call $Py_DecRef (local.get $copy))))
    (if (local.get $failed) (then (return (call $raise))))
    (call $PyLong_FromUnsignedLong (local.get $size)))

  ;; Buffers or sends bytes. Returns whether that failed.
  (func $write_bytes (param $stream i32) (param $bytes i32) (param $size i32) (result i32)
    (local $buffered i32) (local $at_end i32)
    (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
    ;; Outside `print`, or at the end of a line.
    (local.set $at_end
      (i32.or
        (i32.eqz (i32.load offset=268 (global.get $base)))
        (i32.eq
          (i32.load8_u (i32.sub (i32.add (local.get $bytes) (local.get $size)) (i32.const 1)))
          (i32.const 10))))
    (local.set $buffered (i32.load offset=4 (local.get $stream)))
    (if (i32.gt_u (local.get $size) (i32.sub (i32.const 1020) (local.get $buffered)))
      (then
        (if (call $flush (local.get $stream)) (then (return (i32.const 1))))
        (local.set $buffered (i32.const 0))))
    (if (i32.or
          (i32.gt_u (local.get $size) (i32.const 1020))
          (i32.and (local.get $at_end) (i32.eqz (local.get $buffered))))
      (then (return (call $send (local.get $stream) (local.get $bytes) (local.get $size)))))
    (memory.copy
      (i32.add (i32.add (local.get $stream) (i32.const 12)) (local.get $buffered))
      (local.get $bytes)
      (local.get $size))
    (i32.store offset=4 (local.get $stream) (i32.add (local.get $buffered) (local.get $size)))
    (if (local.get $at_end) (then (return (call $flush (local.get $stream)))))
    (i32.const 0))

  ;; Replaces the C function of a builtin: its PyMethodDef is the third word of the object, and the
  ;; function the second word of that.
  (func $gather (param $self i32) (param $builtin i32) (result i32)
    (local $method i32)
    ;; Only once, while the image is built: a call by a program changes nothing.
    (if (i32.load offset=272 (global.get $base)) (then (return (call $none))))
    (local.set $method (i32.load offset=8 (local.get $builtin)))
    ;; METH_FASTCALL | METH_KEYWORDS
    (if (i32.ne (i32.load offset=8 (local.get $method)) (i32.const 0x82)) (then (unreachable)))
    (i32.store offset=272 (global.get $base) (i32.load offset=4 (local.get $method)))
    (i32.store offset=4 (local.get $method) (i32.add (global.get $table) (i32.const 6)))
    (call $none))

  (func $print (param $self i32) (param $args i32) (param $count i32) (param $names i32) (result i32)
    (local $result i32) (local $failed i32)
    (i32.store offset=268 (global.get $base)
      (i32.add (i32.load offset=268 (global.get $base)) (i32.const 1)))
    (local.set $result
      (call_indirect (type $call)
        (local.get $self) (local.get $args) (local.get $count) (local.get $names)
        (i32.load offset=272 (global.get $base))))
    (i32.store offset=268 (global.get $base)
      (i32.sub (i32.load offset=268 (global.get $base)) (i32.const 1)))
    (local.set $failed
      (i32.or
        (call $flush (call $relocate (i32.const 288)))
        (call $flush (call $relocate (i32.const 1320)))))
    ;; An exception of `print` itself comes first.
    (if (i32.and (local.get $failed) (i32.ne (local.get $result) (i32.const 0)))
      (then
        (call $Py_DecRef (local.get $result))
        (return (call $raise))))
    (local.get $result))

  ;; Sends the buffered bytes, and drops them if that fails. Returns whether it failed.
  (func $flush (param $stream i32) (result i32)
    (local $buffered i32)
    (local.set $buffered (i32.load offset=4 (local.get $stream)))
    (i32.store offset=4 (local.get $stream) (i32.const 0))
    (call $send (local.get $stream) (i32.add (local.get $stream) (i32.const 12)) (local.get $buffered)))

  ;; Sends all bytes, with several writes if need be. Returns whether that failed.
  (func $send (param $stream i32) (param $bytes i32) (param $size i32) (result i32)
    (local $taken i32)
    (loop $next
      (if (i32.eqz (local.get $size)) (then (return (i32.const 0))))
      (local.set $taken
        (call $libc_write (i32.load (local.get $stream)) (local.get $bytes) (local.get $size)))
      (if (i32.lt_s (local.get $taken) (i32.const 0)) (then (return (i32.const 1))))
      (local.set $bytes (i32.add (local.get $bytes) (local.get $taken)))
      (local.set $size (i32.sub (local.get $size) (local.get $taken)))
      (br $next))
    (i32.const 0)))
