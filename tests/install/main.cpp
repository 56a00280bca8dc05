#include <green/green.hpp>
int main() {
  return green::spawn([] {
           green::sleep(0.01);
           return 0;
         })
      .wait();
}
