;; The Python module `_eryx_heap`: prepares the heap for a snapshot that many sandboxes start from.
;;
;; Sandboxes share the pages of the snapshot until they write to them. Every page written is copied.
;;
;;     immortalize(objects)   makes a list of objects immortal (PEP 683): the interpreter no longer
;;                            counts references to them, so a program that only uses an object does
;;                            not write to its page
;;     fill_free_chunks()     allocates every free chunk between allocated ones, so that the
;;                            allocations of a program lie together
;;
;;     memory_size()          returns the number of bytes of memory
;;
;; The first two return the number of objects or chunks.
(module
  (@dylink.0 (mem-info (memory 192 3) (table 3 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "malloc" (func $malloc (param i32) (result i32)))
  (import "env" "free" (func $free (param i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "PyList_Size" (func $PyList_Size (param i32) (result i32)))
  (import "env" "PyList_GetItem" (func $PyList_GetItem (param i32 i32) (result i32)))
  (import "env" "PyLong_FromUnsignedLong" (func $PyLong_FromUnsignedLong (param i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56 and 176, four PyMethodDef (16 bytes
  ;; each, the last all zero) at 112.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_heap\00")
  (data (offset (i32.add (global.get $base) (i32.const 72))) "immortalize\00")
  (data (offset (i32.add (global.get $base) (i32.const 88))) "fill_free_chunks\00")
  (data (offset (i32.add (global.get $base) (i32.const 176))) "memory_size\00")

  (elem (global.get $table) func $immortalize $fill_free_chunks $memory_size)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $at i32) (param $name i32) (param $function i32) (param $flags i32)
    (i32.store (local.get $at) (call $relocate (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $function)))
    (i32.store offset=8 (local.get $at) (local.get $flags)))

  (func (export "PyInit__eryx_heap") (result i32)
    ;; METH_O, METH_NOARGS
    (call $method (call $relocate (i32.const 112)) (i32.const 72) (i32.const 0) (i32.const 0x8))
    (call $method (call $relocate (i32.const 128)) (i32.const 88) (i32.const 1) (i32.const 0x4))
    (call $method (call $relocate (i32.const 144)) (i32.const 176) (i32.const 2) (i32.const 0x4))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 112)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $immortalize (param $self i32) (param $objects i32) (result i32)
    (local $at i32) (local $size i32) (local $object i32) (local $count i32)
    (local.set $size (call $PyList_Size (local.get $objects)))
    ;; The argument is not a list; the exception is set.
    (if (i32.lt_s (local.get $size) (i32.const 0)) (then (return (i32.const 0))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_s (local.get $at) (local.get $size)))
        (local.set $object (call $PyList_GetItem (local.get $objects) (local.get $at)))
        ;; _Py_IMMORTAL_MINIMUM_REFCNT and _Py_IMMORTAL_INITIAL_REFCNT where pointers have 32 bits
        (if (i32.lt_u (i32.load (local.get $object)) (i32.const 0x40000000))
          (then
            (i32.store (local.get $object) (i32.const 0x50000000))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $next)))
    (call $PyLong_FromUnsignedLong (local.get $count)))

  (func $memory_size (param $self i32) (param $nothing i32) (result i32)
    (call $PyLong_FromUnsignedLong (i32.shl (memory.size) (i32.const 16))))

  (func $fill_free_chunks (param $self i32) (param $nothing i32) (result i32)
    (local $top i32) (local $size i32) (local $block i32) (local $count i32)
    ;; Zero the free memory behind the last allocation: no other free chunk is as large as the one
    ;; from the first free MiB to the end of memory.
    (local.set $top (call $malloc (i32.const 0x100000)))
    (call $free (local.get $top))
    (local.set $size
      (i32.sub (i32.sub (i32.shl (memory.size) (i32.const 16)) (local.get $top)) (i32.const 4096)))
    (local.set $top (call $malloc (local.get $size)))
    (if (i32.eqz (local.get $top)) (then (return (call $PyLong_FromUnsignedLong (i32.const 0)))))
    (memory.fill (local.get $top) (i32.const 0) (local.get $size))
    (call $free (local.get $top))
    (local.set $size (i32.const 0x100000))
    (block $done
      (loop $next
        (local.set $block (call $malloc (local.get $size)))
        (br_if $done (i32.eqz (local.get $block)))
        (if (i32.lt_u (local.get $block) (local.get $top))
          (then
            ;; Its former content must not become part of the image.
            (memory.fill (local.get $block) (i32.const 0) (local.get $size))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br $next)))
        ;; No free chunk of this size is left.
        (call $free (local.get $block))
        (local.set $size
          (i32.sub (local.get $size)
            (select
              (i32.shr_u (local.get $size) (i32.const 3))
              (i32.const 8)
              (i32.gt_u (local.get $size) (i32.const 1024)))))
        (br_if $next (i32.gt_s (local.get $size) (i32.const 0)))))
    (call $PyLong_FromUnsignedLong (local.get $count))))
