;; The Python module `_eryx_heap`: readies the heap for a snapshot that many sandboxes start from.
;;
;; Sandboxes share the pages of the snapshot until they write to them, and every page written costs a copy.
;;
;;     keep(objects)   lets a list of objects live for ever (PEP 683): nothing counts references to them any more,
;;                     and so a program that merely uses one does not write to it
;;     fill()          fills every hole between what is allocated, so that what a program allocates lies together
;;
;; Both return how many there were.
(module
  (@dylink.0 (mem-info (memory 160 3) (table 2 0)))

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

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56, three PyMethodDef (16 bytes each, the last all zero)
  ;; at 88.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_heap\00")
  (data (offset (i32.add (global.get $base) (i32.const 72))) "keep\00")
  (data (offset (i32.add (global.get $base) (i32.const 80))) "fill\00")

  (elem (global.get $table) func $keep $fill)

  (func $at (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $at i32) (param $name i32) (param $function i32) (param $flags i32)
    (i32.store (local.get $at) (call $at (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $function)))
    (i32.store offset=8 (local.get $at) (local.get $flags)))

  (func (export "PyInit__eryx_heap") (result i32)
    ;; METH_O, METH_NOARGS
    (call $method (call $at (i32.const 88)) (i32.const 72) (i32.const 0) (i32.const 0x8))
    (call $method (call $at (i32.const 104)) (i32.const 80) (i32.const 1) (i32.const 0x4))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $at (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $at (i32.const 88)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $keep (param $self i32) (param $objects i32) (result i32)
    (local $at i32) (local $size i32) (local $object i32) (local $count i32)
    (local.set $size (call $PyList_Size (local.get $objects)))
    ;; Not a list: the exception is set.
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

  (func $fill (param $self i32) (param $nothing i32) (result i32)
    (local $top i32) (local $size i32) (local $block i32) (local $count i32)
    ;; No hole is as large as all there is from one to the end: that much is free behind what is allocated alone, and
    ;; not known to be zero.
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
            ;; What was there is nobody's business.
            (memory.fill (local.get $block) (i32.const 0) (local.get $size))
            (local.set $count (i32.add (local.get $count) (i32.const 1)))
            (br $next)))
        ;; No hole is left that large.
        (call $free (local.get $block))
        (local.set $size
          (i32.sub (local.get $size)
            (select
              (i32.shr_u (local.get $size) (i32.const 3))
              (i32.const 8)
              (i32.gt_u (local.get $size) (i32.const 1024)))))
        (br_if $next (i32.gt_s (local.get $size) (i32.const 0)))))
    (call $PyLong_FromUnsignedLong (local.get $count))))
