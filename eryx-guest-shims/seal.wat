;; Exports `seal`, which makes libc forget the directory handles it has cached.
;;
;; A handle is only good in the instance that opened it. A snapshot taken after a packages directory was
;; read ends with a call of `seal`, so that the instances started from it look their directories up anew.
;; Python cannot call this function of libc's, hence a library of its own for componentize-py to link.
(module
  (@dylink.0 (mem-info (memory 0 0) (table 0 0)))
  (import "env" "__wasilibc_reset_preopens" (func $reset))
  (func (export "seal") (call $reset)))
