/* The file MODEL, a macro, as bytes of the program. */
    .section .rodata
    .global model_begin
    .global model_end
    .balign 64
model_begin:
    .incbin MODEL
model_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
