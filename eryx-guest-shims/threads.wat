;; The Python module `_eryx_threads`: the stacks of Python threads that take turns.
;;
;; A thread that waits is set aside, and another continues. Python functions that call each other
;; run in one call of CPython's evaluation loop, which keeps their frames in a list (`previous`) and
;; in memory that belongs to the thread state (the data stack). To set a thread aside is to unlink
;; its frames from the list, to continue it is to link them again. Each thread has a data stack and
;; the other fields of the thread state that are its own. The interpreter has one thread state.
;;
;;     new(context)     returns the number of a new stack, for a thread in that context
;;     enter(stack)     exchanges the fields of the thread state for those of the stack. The calling
;;                      function is the base of the stack until it calls `leave`
;;     leave(stack)     exchanges them again
;;     suspend(stack)   makes the calling function return to the base, and returns True. Returns
;;                      False, and changes nothing, if the evaluation loop was entered more than
;;                      once since: C code is between the functions, and cannot be set aside
;;     resume(stack)    makes the calling function, which the base has called, return to the
;;                      function that called the one that called `suspend`
;;     free(stack)      ends a stack that has no frames
;;     get_ident()      returns the number of the current stack, or of the main thread
;;     enter_context(context), exit_context(context)
;;                      `Context.run` in two halves
;;     replace(type, name, function)
;;                      replaces a method of a type that Python code cannot change
;;
;; The offsets are those of CPython 3.14 where pointers have 32 bits. The build of the image runs
;; threads, and so fails where they differ.
(module
  (@dylink.0 (mem-info (memory 400 3) (table 10 0)))

  (import "env" "memory" (memory 0))
  (import "env" "__indirect_function_table" (table 0 funcref))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "__table_base" (global $table i32))

  (import "env" "calloc" (func $calloc (param i32 i32) (result i32)))
  (import "env" "Py_IncRef" (func $Py_IncRef (param i32)))
  (import "env" "Py_DecRef" (func $Py_DecRef (param i32)))
  (import "env" "Py_GetConstant" (func $Py_GetConstant (param i32) (result i32)))
  (import "env" "PyErr_NoMemory" (func $PyErr_NoMemory (result i32)))
  (import "env" "PyErr_Occurred" (func $PyErr_Occurred (result i32)))
  (import "env" "PyLong_AsUnsignedLong" (func $PyLong_AsUnsignedLong (param i32) (result i32)))
  (import "env" "PyLong_FromUnsignedLong" (func $PyLong_FromUnsignedLong (param i32) (result i32)))
  (import "env" "PyModule_Create2" (func $PyModule_Create2 (param i32 i32) (result i32)))
  (import "env" "PyThreadState_Get" (func $PyThreadState_Get (result i32)))
  (import "env" "PyThread_get_thread_ident"
    (func $PyThread_get_thread_ident (result i32)))
  (import "env" "PyContext_Enter" (func $PyContext_Enter (param i32) (result i32)))
  (import "env" "PyContext_Exit" (func $PyContext_Exit (param i32) (result i32)))
  (import "env" "PyType_GetDict" (func $PyType_GetDict (param i32) (result i32)))
  (import "env" "PyType_Modified" (func $PyType_Modified (param i32)))
  (import "env" "PyDict_SetItem" (func $PyDict_SetItem (param i32 i32 i32) (result i32)))

  ;; From $base: a PyModuleDef (52 bytes) at 0, names from 56, eleven PyMethodDef (16 bytes each, the
  ;; last all zero) at 168. At 352 the number of the current stack, 0 for the main thread; at 356
  ;; the first stack that can be used again.
  ;;
  ;; A stack (96 bytes): the fields of the thread state (see $swap) from 0, at 44 the number of the
  ;; stack that was current before `enter`, at 48 the frame of the base, at 52 and 56 the innermost
  ;; and the outermost frame that were set aside, at 60 the bottom of the stack of handled exceptions
  ;; (_PyErr_StackItem), at 68 the next stack that can be used again, and two
  ;; more fields of the thread state from 72.
  (data (global.get $base)
    "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\ff\ff\ff\ff\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
  (data (offset (i32.add (global.get $base) (i32.const 56))) "_eryx_threads\00")
  (data (offset (i32.add (global.get $base) (i32.const 72))) "new\00")
  (data (offset (i32.add (global.get $base) (i32.const 76))) "enter\00")
  (data (offset (i32.add (global.get $base) (i32.const 84))) "leave\00")
  (data (offset (i32.add (global.get $base) (i32.const 92))) "suspend\00")
  (data (offset (i32.add (global.get $base) (i32.const 100))) "resume\00")
  (data (offset (i32.add (global.get $base) (i32.const 108))) "free\00")
  (data (offset (i32.add (global.get $base) (i32.const 116))) "get_ident\00")
  (data (offset (i32.add (global.get $base) (i32.const 128))) "enter_context\00")
  (data (offset (i32.add (global.get $base) (i32.const 144))) "exit_context\00")
  (data (offset (i32.add (global.get $base) (i32.const 160))) "replace\00")

  (elem (global.get $table) func $new $enter $leave $suspend $resume $free $get_ident
    $enter_context $exit_context $replace)

  ;; Returns the address of the data at this offset from $base.
  (func $relocate (param $offset i32) (result i32)
    (i32.add (global.get $base) (local.get $offset)))

  (func $method (param $at i32) (param $name i32) (param $function i32) (param $flags i32)
    (i32.store (local.get $at) (call $relocate (local.get $name)))
    (i32.store offset=4 (local.get $at) (i32.add (global.get $table) (local.get $function)))
    (i32.store offset=8 (local.get $at) (local.get $flags)))

  (func (export "PyInit__eryx_threads") (result i32)
    ;; METH_O, METH_NOARGS for `get_ident`, METH_FASTCALL for `replace`
    (call $method (call $relocate (i32.const 168)) (i32.const 72) (i32.const 0) (i32.const 0x8))
    (call $method (call $relocate (i32.const 184)) (i32.const 76) (i32.const 1) (i32.const 0x8))
    (call $method (call $relocate (i32.const 200)) (i32.const 84) (i32.const 2) (i32.const 0x8))
    (call $method (call $relocate (i32.const 216)) (i32.const 92) (i32.const 3) (i32.const 0x8))
    (call $method (call $relocate (i32.const 232)) (i32.const 100) (i32.const 4) (i32.const 0x8))
    (call $method (call $relocate (i32.const 248)) (i32.const 108) (i32.const 5) (i32.const 0x8))
    (call $method (call $relocate (i32.const 264)) (i32.const 116) (i32.const 6) (i32.const 0x4))
    (call $method (call $relocate (i32.const 280)) (i32.const 128) (i32.const 7) (i32.const 0x8))
    (call $method (call $relocate (i32.const 296)) (i32.const 144) (i32.const 8) (i32.const 0x8))
    (call $method (call $relocate (i32.const 312)) (i32.const 160) (i32.const 9) (i32.const 0x80))
    ;; m_name, m_methods
    (i32.store offset=20 (global.get $base) (call $relocate (i32.const 56)))
    (i32.store offset=32 (global.get $base) (call $relocate (i32.const 168)))
    ;; PYTHON_API_VERSION
    (call $PyModule_Create2 (global.get $base) (i32.const 1013)))

  (func $none (result i32)
    ;; Py_CONSTANT_NONE
    (call $Py_GetConstant (i32.const 0)))

  (func $new (param $self i32) (param $context i32) (result i32)
    (local $stack i32)
    (local.set $stack (i32.load offset=356 (global.get $base)))
    (if (local.get $stack)
      (then (i32.store offset=356 (global.get $base) (i32.load offset=68 (local.get $stack))))
      (else
        (local.set $stack (call $calloc (i32.const 1) (i32.const 96)))
        (if (i32.eqz (local.get $stack)) (then (return (call $PyErr_NoMemory))))))
    ;; py_recursion_remaining = py_recursion_limit
    (i32.store (local.get $stack) (i32.load offset=36 (call $PyThreadState_Get)))
    ;; exc_info
    (i32.store offset=4 (local.get $stack) (i32.add (local.get $stack) (i32.const 60)))
    (call $Py_IncRef (local.get $context))
    (i32.store offset=8 (local.get $stack) (local.get $context))
    (call $PyLong_FromUnsignedLong (local.get $stack)))

  (func $exchange (param $field i32) (param $slot i32)
    (local $value i32)
    (local.set $value (i32.load (local.get $field)))
    (i32.store (local.get $field) (i32.load (local.get $slot)))
    (i32.store (local.get $slot) (local.get $value)))

  (func $swap (param $stack i32)
    (local $state i32)
    (local.set $state (call $PyThreadState_Get))
    ;; py_recursion_remaining
    (call $exchange
      (i32.add (local.get $state) (i32.const 32)) (local.get $stack))
    ;; exc_info
    (call $exchange
      (i32.add (local.get $state) (i32.const 76)) (i32.add (local.get $stack) (i32.const 4)))
    ;; context
    (call $exchange
      (i32.add (local.get $state) (i32.const 120)) (i32.add (local.get $stack) (i32.const 8)))
    ;; datastack_chunk
    (call $exchange
      (i32.add (local.get $state) (i32.const 144)) (i32.add (local.get $stack) (i32.const 12)))
    ;; datastack_top
    (call $exchange
      (i32.add (local.get $state) (i32.const 148)) (i32.add (local.get $stack) (i32.const 16)))
    ;; datastack_limit
    (call $exchange
      (i32.add (local.get $state) (i32.const 152)) (i32.add (local.get $stack) (i32.const 20)))
    ;; threading_local_key
    (call $exchange
      (i32.add (local.get $state) (i32.const 176)) (i32.add (local.get $stack) (i32.const 24)))
    ;; threading_local_sentinel
    (call $exchange
      (i32.add (local.get $state) (i32.const 180)) (i32.add (local.get $stack) (i32.const 28)))
    ;; coroutine_origin_tracking_depth
    (call $exchange
      (i32.add (local.get $state) (i32.const 108)) (i32.add (local.get $stack) (i32.const 32)))
    ;; async_gen_firstiter
    (call $exchange
      (i32.add (local.get $state) (i32.const 112)) (i32.add (local.get $stack) (i32.const 36)))
    ;; async_gen_finalizer
    (call $exchange
      (i32.add (local.get $state) (i32.const 116)) (i32.add (local.get $stack) (i32.const 40)))
    ;; asyncio_running_loop
    (call $exchange
      (i32.add (local.get $state) (i32.const 720)) (i32.add (local.get $stack) (i32.const 72)))
    ;; asyncio_running_task
    (call $exchange
      (i32.add (local.get $state) (i32.const 724)) (i32.add (local.get $stack) (i32.const 76)))
    ;; The values of context variables are cached for a context_ver.
    (i64.store offset=128 (local.get $state)
      (i64.add (i64.load offset=128 (local.get $state)) (i64.const 1))))

  (func $enter (param $self i32) (param $number i32) (result i32)
    (local $stack i32)
    (local.set $stack (call $PyLong_AsUnsignedLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $swap (local.get $stack))
    (i32.store offset=44 (local.get $stack) (i32.load offset=352 (global.get $base)))
    (i32.store offset=352 (global.get $base) (local.get $stack))
    ;; current_frame
    (i32.store offset=48 (local.get $stack) (i32.load offset=52 (call $PyThreadState_Get)))
    (call $none))

  (func $leave (param $self i32) (param $number i32) (result i32)
    (local $stack i32)
    (local.set $stack (call $PyLong_AsUnsignedLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (call $swap (local.get $stack))
    (i32.store offset=352 (global.get $base) (i32.load offset=44 (local.get $stack)))
    (call $none))

  (func $suspend (param $self i32) (param $number i32) (result i32)
    (local $stack i32) (local $caller i32) (local $base i32) (local $frame i32)
    (local $outermost i32)
    (local.set $stack (call $PyLong_AsUnsignedLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (local.set $base (i32.load offset=48 (local.get $stack)))
    (local.set $caller (i32.load offset=52 (call $PyThreadState_Get)))
    (local.set $frame (i32.load offset=4 (local.get $caller)))
    (block $refused
      (br_if $refused (i32.eq (local.get $frame) (local.get $base)))
      (loop $next
        (br_if $refused (i32.eqz (local.get $frame)))
        ;; owner: neither FRAME_OWNED_BY_THREAD nor FRAME_OWNED_BY_GENERATOR
        (br_if $refused (i32.gt_u (i32.load8_u offset=38 (local.get $frame)) (i32.const 1)))
        (local.set $outermost (local.get $frame))
        (local.set $frame (i32.load offset=4 (local.get $frame)))
        (br_if $next (i32.ne (local.get $frame) (local.get $base))))
      (i32.store offset=52 (local.get $stack) (i32.load offset=4 (local.get $caller)))
      (i32.store offset=56 (local.get $stack) (local.get $outermost))
      (i32.store offset=4 (local.get $outermost) (i32.const 0))
      (i32.store offset=4 (local.get $caller) (local.get $base))
      ;; Py_CONSTANT_TRUE
      (return (call $Py_GetConstant (i32.const 2))))
    ;; Py_CONSTANT_FALSE
    (call $Py_GetConstant (i32.const 1)))

  (func $resume (param $self i32) (param $number i32) (result i32)
    (local $stack i32) (local $caller i32)
    (local.set $stack (call $PyLong_AsUnsignedLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    (local.set $caller (i32.load offset=52 (call $PyThreadState_Get)))
    (i32.store offset=4
      (i32.load offset=56 (local.get $stack)) (i32.load offset=48 (local.get $stack)))
    (i32.store offset=4 (local.get $caller) (i32.load offset=52 (local.get $stack)))
    (i32.store offset=52 (local.get $stack) (i32.const 0))
    (i32.store offset=56 (local.get $stack) (i32.const 0))
    (call $none))

  (func $clear (param $slot i32)
    (local $object i32)
    (local.set $object (i32.load (local.get $slot)))
    (i32.store (local.get $slot) (i32.const 0))
    (if (local.get $object) (then (call $Py_DecRef (local.get $object)))))

  (func $free (param $self i32) (param $number i32) (result i32)
    (local $stack i32)
    (local.set $stack (call $PyLong_AsUnsignedLong (local.get $number)))
    (if (call $PyErr_Occurred) (then (return (i32.const 0))))
    ;; Its data stack is used again: CPython keeps the first chunk of a data stack.
    (call $clear (i32.add (local.get $stack) (i32.const 60)))
    (call $clear (i32.add (local.get $stack) (i32.const 8)))
    (call $clear (i32.add (local.get $stack) (i32.const 24)))
    (call $clear (i32.add (local.get $stack) (i32.const 28)))
    (call $clear (i32.add (local.get $stack) (i32.const 36)))
    (call $clear (i32.add (local.get $stack) (i32.const 40)))
    (call $clear (i32.add (local.get $stack) (i32.const 72)))
    (call $clear (i32.add (local.get $stack) (i32.const 76)))
    (i32.store offset=32 (local.get $stack) (i32.const 0))
    (i32.store offset=68 (local.get $stack) (i32.load offset=356 (global.get $base)))
    (i32.store offset=356 (global.get $base) (local.get $stack))
    (call $none))

  (func $get_ident (param $self i32) (param $nothing i32) (result i32)
    (local $stack i32)
    (local.set $stack (i32.load offset=352 (global.get $base)))
    (call $PyLong_FromUnsignedLong
      (select
        (local.get $stack)
        (call $PyThread_get_thread_ident)
        (local.get $stack))))

  (func $enter_context (param $self i32) (param $context i32) (result i32)
    (if (call $PyContext_Enter (local.get $context)) (then (return (i32.const 0))))
    (call $none))

  (func $exit_context (param $self i32) (param $context i32) (result i32)
    (if (call $PyContext_Exit (local.get $context)) (then (return (i32.const 0))))
    (call $none))

  ;; Called with three arguments, by the image only.
  (func $replace (param $self i32) (param $arguments i32) (param $count i32) (result i32)
    (local $type i32) (local $dict i32) (local $failed i32)
    (local.set $type (i32.load (local.get $arguments)))
    (local.set $dict (call $PyType_GetDict (local.get $type)))
    (local.set $failed
      (call $PyDict_SetItem
        (local.get $dict)
        (i32.load offset=4 (local.get $arguments))
        (i32.load offset=8 (local.get $arguments))))
    (call $Py_DecRef (local.get $dict))
    (if (local.get $failed) (then (return (i32.const 0))))
    (call $PyType_Modified (local.get $type))
    (call $none)))
