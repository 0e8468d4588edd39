/* Encodes a picture with a SavedModel of vlae_tf, through TensorFlow's C interface alone.
 *
 *     make && build/encode ../../served/mnist_dynamic/1 digit.pgm
 *
 * The picture is a binary PGM of the model's size, such as `convert digit.png digit.pgm` writes;
 * a pixel of half the brightness or more is a 1. The code is printed, one number a line. */

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("encode: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

static void check(const TF_Status *status, const char *doing) {
  if (TF_GetCode(status) != TF_OK) fail("%s: %s", doing, TF_Message(status));
}

/* ---- The picture ---- */

/* A number of the head, after white space and comments. */
static long read_number(FILE *file) {
  int c = fgetc(file);
  while (c == ' ' || (c >= '\t' && c <= '\r') || c == '#') {
    if (c == '#')
      while (c != '\n' && c != EOF) c = fgetc(file);
    else
      c = fgetc(file);
  }
  long number = 0;
  if (c < '0' || c > '9') return -1;
  for (; c >= '0' && c <= '9' && number < 100000; c = fgetc(file)) number = 10 * number + c - '0';
  return number;
}

/* A tensor (1, height, width, 1) of 0 and 1. */
static TF_Tensor *read_picture(const char *path) {
  FILE *file = fopen(path, "rb");
  if (!file) fail("cannot open the picture %s", path);
  int magic = fgetc(file) == 'P' && fgetc(file) == '5';
  long width = magic ? read_number(file) : -1;
  long height = magic ? read_number(file) : -1;
  long brightest = magic ? read_number(file) : -1;
  if (width < 1 || height < 1 || width > 10000 || height > 10000 || brightest < 1 ||
      brightest > 255)
    fail("%s must be a binary PGM (P5) of 8 bits", path);
  int64_t shape[4] = {1, height, width, 1};
  size_t size = (size_t)height * (size_t)width;
  TF_Tensor *image = TF_AllocateTensor(TF_UINT8, shape, 4, size);
  uint8_t *pixels = TF_TensorData(image);
  if (fread(pixels, 1, size, file) != size) fail("%s ends before its last pixel", path);
  fclose(file);
  for (size_t i = 0; i < size; ++i) pixels[i] = 2 * pixels[i] >= brightest;
  return image;
}

/* ---- The signature: which operations stand for its inputs and outputs ---- */

/* A message of protocol buffers, or the content of one of its fields. */
typedef struct {
  const uint8_t *at, *end;
} Bytes;

static int read_varint(Bytes *from, uint64_t *value) {
  *value = 0;
  for (int shift = 0; shift < 64 && from->at < from->end; shift += 7) {
    uint8_t byte = *from->at++;
    *value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return 1;
  }
  return 0;
}

/* Takes the next field off a message: its number, and its content if it has a length. */
static int next_field(Bytes *message, uint64_t *number, Bytes *content) {
  uint64_t tag, length;
  if (!read_varint(message, &tag)) return 0;
  *number = tag >> 3;
  *content = (Bytes){message->at, message->at};
  switch (tag & 7) {
    case 0:
      return read_varint(message, &length);
    case 1:
      length = 8;
      break;
    case 2:
      if (!read_varint(message, &length)) return 0;
      break;
    case 5:
      length = 4;
      break;
    default:
      return 0;
  }
  if (length > (uint64_t)(message->end - message->at)) return 0;
  *content = (Bytes){message->at, message->at + length};
  message->at += length;
  return 1;
}

/* The content of the last field of a number; nothing if there is none. */
static Bytes get_field(Bytes message, uint64_t wanted) {
  Bytes found = {NULL, NULL}, content;
  for (uint64_t number; next_field(&message, &number, &content);)
    if (number == wanted) found = content;
  return found;
}

static int is_text(Bytes bytes, const char *text) {
  size_t length = strlen(text);
  return (size_t)(bytes.end - bytes.at) == length && !memcmp(bytes.at, text, length);
}

/* The value of a key in the map that a field is: its entries have the key as 1, the value as 2. */
static Bytes get_entry(Bytes message, uint64_t map, const char *key) {
  Bytes entry;
  for (uint64_t number; next_field(&message, &number, &entry);)
    if (number == map && is_text(get_field(entry, 1), key)) return get_field(entry, 2);
  fail("the SavedModel has no \"%s\" where one was expected", key);
  return entry;
}

/* The place in the graph that a TensorInfo names, as "operation:index". */
static TF_Output get_output(TF_Graph *graph, Bytes tensor_info) {
  Bytes name = get_field(tensor_info, 1);
  char text[1024];
  size_t length = (size_t)(name.end - name.at);
  if (length == 0 || length >= sizeof text) fail("the SavedModel names no tensor");
  memcpy(text, name.at, length);
  text[length] = 0;
  char *colon = strrchr(text, ':');
  if (colon) *colon = 0;
  TF_Output output = {TF_GraphOperationByName(graph, text), colon ? atoi(colon + 1) : 0};
  if (!output.oper) fail("the graph has no operation %s", text);
  return output;
}

int main(int count, char **arguments) {
  if (count != 3) fail("usage: encode SAVED_MODEL PICTURE.pgm");
  TF_Tensor *image = read_picture(arguments[2]);

  TF_Status *status = TF_NewStatus();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Graph *graph = TF_NewGraph();
  TF_Buffer *meta_graph = TF_NewBuffer();
  const char *tags[] = {"serve"};
  TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph,
                                                     meta_graph, status);
  check(status, "cannot load the SavedModel");

  /* MetaGraphDef has signature_def as 5; SignatureDef has inputs as 1 and outputs as 2. */
  const uint8_t *data = meta_graph->data;
  Bytes signature = get_entry((Bytes){data, data + meta_graph->length}, 5, "encode");
  TF_Output input = get_output(graph, get_entry(signature, 1, "image"));
  TF_Output output = get_output(graph, get_entry(signature, 2, "code"));

  TF_Tensor *code = NULL;
  TF_SessionRun(session, NULL, &input, &image, 1, &output, &code, 1, NULL, 0, NULL, status);
  check(status, "cannot encode the picture");
  if (TF_TensorType(code) != TF_FLOAT) fail("the code must be of float32");
  const float *numbers = TF_TensorData(code);
  for (int64_t i = 0; i < TF_TensorElementCount(code); ++i) printf("%.9g\n", numbers[i]);

  TF_DeleteTensor(code);
  TF_DeleteTensor(image);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return 0;
}
